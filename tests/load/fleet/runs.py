"""What the runs of a fleet came to: how busy its slots were, what ran twice, how long tasks waited. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple


class Run(NamedTuple):
    """One run of a task; instants in seconds since the epoch, `ended` None while it lasts (or for ever)."""

    task_id: str
    attempt: int
    delivery: int
    began: float
    ended: float | None


def parse_runs(lines: Iterable[str]) -> list[Run]:
    """The runs of one process from its log."""
    begun: dict[tuple[str, int, int], float] = {}
    ended: dict[tuple[str, int, int], float] = {}
    for line in lines:
        what, task_id, attempt, delivery, at = line.split()
        (begun if what == "began" else ended)[task_id, int(attempt), int(delivery)] = float(at)
    return [Run(*key, at, ended.get(key)) for key, at in begun.items()]


def run_twice(runs: Iterable[Run]) -> int:
    """Runs beyond the first of each task."""
    return sum(count - 1 for count in Counter(run.task_id for run in runs).values())


def waits(submitted: Mapping[str, float], runs: Sequence[Run]) -> list[float]:
    """Seconds from submission to the first run, sorted."""
    first: dict[str, float] = {}
    for run in runs:
        first[run.task_id] = min(run.began, first.get(run.task_id, run.began))
    return sorted(at - submitted[task_id] for task_id, at in first.items())


def percentile(ordered: Sequence[float], part: float) -> float:
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def idle_part(submitted: Mapping[str, float], runs: Sequence[Run], slots: int) -> float:
    """The part of all slot time that was idle although a task waited for it; 0 when nothing ever waited.

    Counted while at least one task waits; a slot without a task of its own that waits is not to blame.
    """
    changes: list[tuple[float, int, int]] = [(at, 1, 0) for at in submitted.values()]
    changes += [(run.began, -1, 1) for run in runs]
    changes += [(run.ended, 0, -1) for run in runs if run.ended is not None]
    waiting = running = 0
    idle = whole = 0.0
    before: float | None = None
    for at, waits_more, runs_more in sorted(changes):
        if before is not None and waiting > 0:
            idle += (at - before) * min(waiting, max(0, slots - running))
            whole += (at - before) * slots
        waiting, running, before = waiting + waits_more, running + runs_more, at
    return idle / whole if whole else 0.0
