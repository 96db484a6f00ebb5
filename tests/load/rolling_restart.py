"""Restarts every worker, one after another, under a load of long and short tasks, and counts what that cost.

Exits with 1 when a task ran twice, an attempt or a delivery was burnt, or a task waited too long. Counting is
fleet/runs.py's.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from fleet.runs import percentile, run_twice, waits
from fleet.workers import Fleet
from rich.console import Console

#: Seconds a short task may have waited for its start, at p99.
LONGEST_WAIT = 3.0
SHORT_SECONDS = 0.05


@dataclass(frozen=True)
class Options:
    """How much of what; times in seconds."""

    workers: int
    slots: int
    long_seconds: float
    #: Part of all slots that long tasks occupy on average.
    long_part: float
    short_per_second: float
    seed: int


@dataclass(frozen=True)
class Result:
    """What a rolling restart cost."""

    long_tasks: int
    short_tasks: int
    #: Seconds until the last worker was replaced.
    seconds: float
    ran_twice: int
    #: Runs of a second attempt, and records that went to `tasks.retry`.
    attempts_burnt: int
    handed_back: int
    wait_p50: float
    wait_p99: float
    wait_longest: float

    def __str__(self) -> str:
        return (
            f"{self.long_tasks} long and {self.short_tasks} short tasks while every worker was replaced in "
            f"{self.seconds:.0f} s: {self.ran_twice} ran twice, {self.attempts_burnt} attempts burnt, "
            f"{self.handed_back} handed back; short tasks waited p50 {self.wait_p50 * 1000:.0f} ms, "
            f"p99 {self.wait_p99:.2f} s, longest {self.wait_longest:.2f} s"
        )


class Restart:
    """One measurement."""

    def __init__(self, fleet: Fleet, options: Options) -> None:
        self._fleet, self._options = fleet, options
        self._dice = random.Random(options.seed)
        self._long: set[str] = set()
        self._loading = True

    async def run(self) -> Result:
        fleet, options = self._fleet, self._options
        for _ in range(options.workers):
            fleet.start_worker()
        await fleet.settled(options.workers)
        # Long tasks occupy their part of the slots from the beginning, not only after a while.
        for _ in range(int(options.long_part * options.workers * options.slots)):
            self._long.add(await fleet.submit(options.long_seconds))
        load = asyncio.create_task(self._load())
        await fleet.until(lambda: fleet.begun() > len(self._long), "the load has begun", 60)
        began = time.monotonic()
        for worker in list(fleet.workers):
            await fleet.replace(worker, patience_seconds=options.long_seconds + 60)
        seconds = time.monotonic() - began
        self._loading = False
        await load
        await fleet.all_ended(patience_seconds=options.long_seconds + 60)
        return await self._result(seconds)

    async def _load(self) -> None:
        """Short tasks at a steady rate, and a long one now and then."""
        options = self._options
        slots = options.workers * options.slots
        long_chance = options.long_part * slots / options.long_seconds / options.short_per_second
        while self._loading:
            if self._dice.random() < long_chance:
                self._long.add(await self._fleet.submit(options.long_seconds))
            await self._fleet.submit(SHORT_SECONDS)
            await asyncio.sleep(self._dice.expovariate(options.short_per_second))

    async def _result(self, seconds: float) -> Result:
        fleet = self._fleet
        runs = fleet.runs()
        short = {task_id: at for task_id, at in fleet.submitted.items() if task_id not in self._long}
        waited = waits(short, [run for run in runs if run.task_id in short])
        return Result(
            long_tasks=len(self._long),
            short_tasks=len(short),
            seconds=seconds,
            ran_twice=run_twice(runs),
            attempts_burnt=sum(run.attempt > 1 for run in runs),
            handed_back=await fleet.records(fleet.topics.retry),
            wait_p50=percentile(waited, 0.5),
            wait_p99=percentile(waited, 0.99),
            wait_longest=waited[-1],
        )


def _misses(result: Result) -> list[str]:
    misses = []
    if result.ran_twice:
        misses.append(f"{result.ran_twice} tasks ran twice")
    if result.attempts_burnt or result.handed_back:
        misses.append(f"{result.attempts_burnt} attempts were burnt, {result.handed_back} tasks handed back")
    if result.wait_p99 > LONGEST_WAIT:
        misses.append(f"short tasks waited {result.wait_p99:.2f} s at p99; {LONGEST_WAIT:g} s are allowed")
    return misses


async def _measure(options: Options) -> Result:
    with tempfile.TemporaryDirectory(prefix="muster-fleet-") as folder:
        grace = options.long_seconds + 30
        async with Fleet(Path(folder), slots=options.slots, grace_seconds=grace) as fleet:
            return await Restart(fleet, options).run()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--slots", type=int, default=4)
    parser.add_argument("--long-seconds", type=float, default=20.0)
    parser.add_argument("--long-part", type=float, default=0.5, help="part of all slots that long tasks occupy")
    parser.add_argument("--short-per-second", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=4)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser.parse_args()


def main() -> int:
    arguments = vars(_arguments())
    as_json = arguments.pop("json")
    console = Console(stderr=as_json, soft_wrap=True)
    result = asyncio.run(_measure(Options(**arguments)))
    console.print(str(result), highlight=False)
    misses = _misses(result)
    for miss in misses:
        console.print(f"[red]{miss}[/]")
    if as_json:
        print(json.dumps(asdict(result) | {"misses": misses}, indent=2))  # noqa: T201
    return 1 if misses else 0


if __name__ == "__main__":
    sys.exit(main())
