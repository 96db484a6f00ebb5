"""Counts idle slots while tasks wait: four workers of two slots, all tasks in one partition, then spread at random.

Exits with 1 when hand-over misses its bounds. What is counted is fleet/runs.py's.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from fleet.runs import idle_part, run_twice
from fleet.workers import Fleet
from rich.console import Console

WORKERS, SLOTS = 4, 2
#: How much longer than perfectly spread, and how much slot time may be idle while a task waits.
LONGEST, IDLEST = 1.15, 0.05


@dataclass(frozen=True)
class Result:
    """One measurement."""

    name: str
    handover: bool
    tasks: int
    seconds: float
    #: Seconds that all slots together need at least.
    ideal: float
    idle: float
    extra_runs: int

    @property
    def ratio(self) -> float:
        return self.seconds / self.ideal

    def __str__(self) -> str:
        how = "with hand-over" if self.handover else "without hand-over"
        return (
            f"{self.name}, {how}: {self.tasks} tasks in {self.seconds:.1f} s, ideal {self.ideal:.1f} s, "
            f"ratio {self.ratio:.2f}, slots idle while a task waits {self.idle:.1%}, {self.extra_runs} extra runs"
        )


async def measure(name: str, lengths: Sequence[float], partition: int | None, handover: bool) -> Result:
    """Run tasks of these lengths (seconds) on a fresh fleet."""
    with tempfile.TemporaryDirectory(prefix="muster-fleet-") as folder:
        async with Fleet(Path(folder), slots=SLOTS, handover=handover) as fleet:
            for _ in range(WORKERS):
                fleet.start_worker()
            await fleet.settled(WORKERS)
            began = time.time()
            await asyncio.gather(*[fleet.submit(seconds, partition) for seconds in lengths])
            work = sum(lengths)
            await fleet.all_ended(patience_seconds=work + 60)
            runs = fleet.runs()
            last = max(run.ended or run.began for run in runs)
            ideal = max(work / (WORKERS * SLOTS), *lengths)
            idle = idle_part(fleet.submitted, runs, WORKERS * SLOTS)
            return Result(name, handover, len(lengths), last - began, ideal, idle, run_twice(runs))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=40, help="tasks of 2 s in one partition")
    parser.add_argument("--mixed", type=int, default=60, help="tasks of 0.1-10 s in random partitions")
    parser.add_argument("--seed", type=int, default=4)
    parser.add_argument("--only-with", action="store_true", help="leave out what is only there to compare with")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser.parse_args()


async def _main(options: argparse.Namespace, console: Console) -> list[Result]:
    dice = random.Random(options.seed)
    mixed = [dice.uniform(0.1, 10.0) for _ in range(options.mixed)]
    results = []
    for handover in (True,) if options.only_with else (False, True):
        for name, lengths, partition in (
            ("one partition", [2.0] * options.tasks, 0), ("random partitions", mixed, None),
        ):  # fmt: skip
            results.append(await measure(name, lengths, partition, handover))
            console.print(str(results[-1]), highlight=False)
    return results


def _misses(results: Sequence[Result]) -> list[str]:
    misses = []
    for result in results:
        if result.handover and result.name == "one partition" and result.ratio > LONGEST:
            misses.append(f"one partition took {result.ratio:.2f} times the ideal; {LONGEST} are allowed")
        if result.handover and result.name != "one partition" and result.idle > IDLEST:
            misses.append(f"{result.name}: {result.idle:.1%} of slot time idle; {IDLEST:.0%} are allowed")
        if result.extra_runs:
            misses.append(f"{result.name}: {result.extra_runs} tasks ran more than once")
    return misses


def main() -> int:
    options = _arguments()
    console = Console(stderr=options.json, soft_wrap=True)
    results = asyncio.run(_main(options, console))
    misses = _misses(results)
    for miss in misses:
        console.print(f"[red]{miss}[/]")
    if options.json:
        print(json.dumps({"results": [asdict(result) for result in results], "misses": misses}, indent=2))  # noqa: T201
    return 1 if misses else 0


if __name__ == "__main__":
    sys.exit(main())
