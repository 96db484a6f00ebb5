"""What the simulated tasks do when they run, and the notes that a schedule is judged by. No protocol lives here."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field

from muster.contracts.recovery import MAX_LOSSES
from muster.contracts.retry import RetryPolicy

#: Short, so that a schedule is; the arithmetic is the real one.
POLICY = RetryPolicy(max_retries=3, base=4.0, factor=2.0, cap=20.0)
#: Faults happen until then (seconds).
TROUBLE = 40.0


@dataclass(frozen=True)
class TaskPlan:
    """How one task behaves: `failures` attempts fail first; `permanent`: the first of them is the end."""

    task_id: str
    failures: int
    permanent: bool
    #: Seconds a run takes.
    seconds: float
    #: Seconds until it may begin; 0: goes straight to its lane.
    countdown: float

    @classmethod
    def draw(cls, number: int, dice: random.Random) -> TaskPlan:
        failures = dice.choice((0, 0, 1, 1, 2, 5))
        countdown = dice.choice((0.0, 0.0, 0.0, 1.0, 5.5, 13.0))
        return cls(f"task-{number}", failures, dice.random() < 0.1, dice.choice((0.01, 0.5, 3.0, 12.0)), countdown)


@dataclass
class Notes:
    """What happened, counted where it happened: independent of what the projection believes."""

    runs: Counter[tuple[str, int]] = field(default_factory=Counter)
    #: Retry records that a failed attempt led to, by (task, next attempt).
    next_attempts: Counter[tuple[str, int]] = field(default_factory=Counter)
    #: Redeliveries after a lost worker, by (task, attempt).
    losses: Counter[tuple[str, int]] = field(default_factory=Counter)
    #: Deliveries taken for lost, by (task, attempt, delivery).
    recovered: Counter[tuple[str, int, int]] = field(default_factory=Counter)
    #: What broke an invariant, one sentence each.
    broken: list[str] = field(default_factory=list)
    deaths: int = 0
    freezes: int = 0
    drains: int = 0
    handed_over: int = 0
    redelivered: int = 0
    given_up: int = 0
    refused: int = 0

    def run_again(self, task_id: str, attempt: int, delivery: int) -> None:
        """Called when the next delivery of a lost one is in its lane."""
        self._settled_once(task_id, attempt, delivery)
        self.redelivered += 1
        self.losses[task_id, attempt] += 1

    def gave_up(self, task_id: str, attempt: int, delivery: int) -> None:
        """Called when the dead letter is in the log; the redeliveries before it are counted by then."""
        self._settled_once(task_id, attempt, delivery)
        self.given_up += 1
        losses = self.losses[task_id, attempt] + 1
        if losses < MAX_LOSSES:
            self.broken.append(f"hasty: {task_id} was given up after {losses} lost workers")

    def _settled_once(self, task_id: str, attempt: int, delivery: int) -> None:
        self.recovered[task_id, attempt, delivery] += 1
        if self.recovered[task_id, attempt, delivery] > 1:
            self.broken.append(f"twice: delivery {delivery} of {task_id}, attempt {attempt}, was taken for lost twice")

    @property
    def extra_runs(self) -> int:
        return sum(count - 1 for count in self.runs.values())

    def retried(self, task_id: str, attempt: int) -> None:
        self.next_attempts[task_id, attempt] += 1
        if self.next_attempts[task_id, attempt] > 1:
            self.broken.append(f"doubled: attempt {attempt} of {task_id} was begun twice")

    def released(self, task_id: str, early: float) -> None:
        if early > 0:
            self.broken.append(f"early: {task_id} went to its lane {early:.3f} s before its due time")
