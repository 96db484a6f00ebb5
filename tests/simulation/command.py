"""The command line of the simulation: many seeds, several processes, one summary. Schedules are schedule.py."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from .mutations import Mutation
from .schedule import TASKS, Report, run_schedule

#: Seeds handed to a process at a time.
CHUNK = 20
#: So many broken schedules are named.
NAMED = 10


@dataclass
class Summary:
    """What all schedules came to."""

    first_seed: int
    schedules: int = 0
    tasks: int = 0
    broken_schedules: int = 0
    extra_runs: int = 0
    deaths: int = 0
    freezes: int = 0
    drains: int = 0
    handed_over: int = 0
    redelivered: int = 0
    given_up: int = 0
    refused_commits: int = 0
    seconds: float = 0.0
    schedules_per_second: float = 0.0
    #: Seed and what was broken, of the first broken schedules.
    broken: list[tuple[int, list[str]]] = field(default_factory=list)

    def add(self, report: Report) -> None:
        notes = report.notes
        self.schedules += 1
        self.tasks += TASKS
        self.extra_runs += notes.extra_runs
        self.deaths += notes.deaths
        self.freezes += notes.freezes
        self.drains += notes.drains
        self.handed_over += notes.handed_over
        self.redelivered += notes.redelivered
        self.given_up += notes.given_up
        self.refused_commits += notes.refused
        if notes.broken:
            self.broken_schedules += 1
            if len(self.broken) < NAMED:
                self.broken.append((report.seed, notes.broken))


def first_broken(mutation: Mutation, seeds: Iterable[int]) -> Report | None:
    """The first of these schedules in which the broken rule shows."""
    for seed in seeds:
        report = run_schedule(seed, mutation)
        if report.notes.broken:
            return report
    return None


def _reports(seeds: range, mutation: Mutation | None, processes: int) -> Iterator[Report]:
    work = [(seed, mutation) for seed in seeds]
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        yield from pool.imap(_run, work, chunksize=CHUNK)


def _run(work: tuple[int, Mutation | None]) -> Report:
    return run_schedule(*work)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--schedules", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=0, help="of the first schedule; the others follow it")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--mutation", choices=[mutation.name for mutation in Mutation], help="break this rule")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser.parse_args()


def main() -> int:
    """0 when every invariant held in every schedule, else 1."""
    options = _arguments()
    console = Console(stderr=options.json)
    seeds = range(options.seed, options.seed + options.schedules)
    mutation = Mutation[options.mutation] if options.mutation else None
    summary, began, digest = Summary(options.seed), time.monotonic(), ""
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        step = bar.add_task("schedules", total=options.schedules)
        for report in _reports(seeds, mutation, options.processes):
            summary.add(report)
            digest = report.digest
            bar.advance(step)
    summary.seconds = round(time.monotonic() - began, 1)
    summary.schedules_per_second = round(summary.schedules / max(summary.seconds, 0.1), 1)
    if options.json:
        print(json.dumps(asdict(summary) | {"last_digest": digest}, indent=2))  # noqa: T201
    else:
        _show(console, summary)
    return 1 if summary.broken_schedules else 0


def _show(console: Console, summary: Summary) -> None:
    for seed, broken in summary.broken:
        console.print(f"[red]seed {seed}[/]: {'; '.join(broken)}")
    console.print(
        f"{summary.schedules:,} schedules of {summary.tasks:,} tasks: {summary.broken_schedules} broken; "
        f"{summary.deaths:,} deaths, {summary.freezes:,} freezes, {summary.drains:,} drains, "
        f"{summary.refused_commits:,} refused commits, {summary.handed_over:,} handed over, "
        f"{summary.redelivered:,} redelivered, {summary.given_up:,} given up, {summary.extra_runs:,} extra runs; "
        f"{summary.seconds:g} s, {summary.schedules_per_second:g} schedules/s"
    )
