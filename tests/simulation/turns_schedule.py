"""One schedule with order keys and pauses: the processes of schedule.py, two more faults, and what turns must keep.

What must be true of every task is schedule.py's.
"""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import cast

import msgspec
from muster.contracts.envelope import TaskRecord
from muster.contracts.pauses import Pause, pause_key
from muster.ports import TopicPartition
from tracker_service.projection.fold import Fold
from tracker_service.projection.rows import ClaimRow

from . import outcomes
from .broker import LANE, TOPICS
from .caller import DOOR, Caller
from .leader import Lock
from .plan import TROUBLE, Notes, TaskPlan
from .projection import Projection
from .schedule import Report, Schedule
from .tracker import Tracker
from .turns_worker import STILL, TurnNotes, TurnsMutation, TurnsWorker, foreign
from .worker import Worker

KEYS = ("cadet-1", "cadet-1", "cadet-1", "cadet-2", "cadet-2", "cadet-2", None, None)
_DOOR = TopicPartition(TOPICS.keyed, 0)
_CONTROL = TopicPartition(TOPICS.control, 0)


class TurnsProjection(Projection):
    """The projection with the door and the pauses."""

    def __init__(self, schedule: TurnsSchedule) -> None:
        super().__init__(schedule._broker, schedule._notes)
        self._broken = schedule._broken
        self.offsets = dict.fromkeys(self._broker.ends(DOOR), 0)

    def advance(self, partition: TopicPartition, records: int) -> None:
        """A task that has ended takes no seat, as in the tables."""
        super().advance(partition, records)
        for key in [key for key in self.fold.seats if self.ended(key.task_id)]:
            del self.fold.seats[key]

    def left(self, claim: ClaimRow) -> bool:
        return super().left(claim) and self._broken is not TurnsMutation.LEFT_COUNTS

    def ended(self, task_id: str) -> bool:
        row = self.fold.tasks.get(task_id)
        return row is not None and row.finished_at is not None

    def forget(self) -> None:
        """Dropped, to be folded again from the log."""
        self.fold, self._ranks = Fold(), {}
        self.offsets = dict.fromkeys(self.offsets, 0)


class TurnsSchedule(Schedule):
    """Two keys of three tasks, two tasks without; the one task type is paused now and then."""

    #: Three tasks, one after another, each with its retries.
    patience = 1500.0

    def __init__(self, seed: int, broken: TurnsMutation | None = None, still: float = STILL) -> None:
        """`still`: how often a worker freezes just when it asks to accept keyed tasks."""
        self._broken, self._still = broken, still
        self._calls_lock = Lock()
        super().__init__(seed)

    def run(self) -> Report:
        self._timeline.after(self._timeline.random.uniform(1.0, 10.0), self._pause)
        self._timeline.after(self._timeline.random.uniform(1.0, 10.0), self._turns_trouble)
        report = super().run()
        self._turn_notes.check_order(self._broker.partitions[_DOOR])
        return report

    @property
    def _turn_notes(self) -> TurnNotes:
        return cast(TurnNotes, self._notes)

    def _new_notes(self) -> Notes:
        return TurnNotes()

    def _new_projection(self) -> Projection:
        return TurnsProjection(self)

    def _submit(self, plan: TaskPlan) -> None:
        number = int(plan.task_id.rpartition("-")[2])

        def send() -> None:
            now = self._client.wall()
            due = now + timedelta(seconds=plan.countdown) if plan.countdown else None
            task = TaskRecord(
                task_id=plan.task_id, task_type="noop", body=b"{}", submitted_at=now, order_key=KEYS[number],
                route=LANE, not_before=due,
            )  # fmt: skip
            if task.order_key is None:
                write: outcomes.Write = (TOPICS.retry if due else LANE, task.key, task.body, task.headers())
            else:
                write = foreign(task, self._timeline.random, LANE)
            self._broker.send(self._client, write)

        self._client.later(self._timeline.random.uniform(0.0, TROUBLE / 2), send)

    def _pause(self) -> None:
        """Paused for a while, at the latest until the trouble ends."""
        if self._timeline.now > TROUBLE:
            return
        self._order(msgspec.json.encode(Pause(pauses="noop", at=self._client.wall())))
        self._timeline.after(self._timeline.random.choice((0.5, 3.0, 12.0)), self._resume)

    def _resume(self) -> None:
        self._order(None)
        self._timeline.after(self._timeline.random.choice((0.5, 8.0)), self._pause)

    def _order(self, value: bytes | None) -> None:
        """Into the compacted topic; every worker hears of it in its own time."""
        self._broker.append((TOPICS.control, pause_key("noop"), value, []))
        until = len(self._broker.partitions[_CONTROL])
        for worker in self._workers:
            worker.later(
                self._timeline.random.choice((0.001, 0.3, 1.0)), partial(cast(TurnsWorker, worker).hear, until)
            )

    def _turns_trouble(self) -> None:
        if self._timeline.now > TROUBLE:
            return
        dice = self._timeline.random
        if dice.random() < 0.15:
            self._drop_projection()
        else:
            self._calls_lock.cut()
        self._timeline.after(dice.uniform(1.0, 12.0), self._turns_trouble)

    def _drop_projection(self) -> None:
        """The operator stops the trackers, drops their tables and starts them again."""
        for tracker in self._trackers:
            tracker.die()
        cast(TurnsProjection, self._projection).forget()
        self._start_trackers()

    def _worker(self) -> Worker:
        return TurnsWorker(
            self._timeline, self._name("worker"), self._broker, self._group, self._plans, self._turn_notes,
            self._broken, self._broker.partitions[_CONTROL], self._still,
        )  # fmt: skip

    def _new_tracker(self) -> Tracker:
        tracker = super()._new_tracker()
        Caller(tracker, self._broker, self._group, self._projection, self._calls_lock, self._turn_notes, self._broken)
        return tracker


def run_turns(seed: int, broken: TurnsMutation | None = None, still: float = STILL) -> tuple[Report, TurnNotes]:
    schedule = TurnsSchedule(seed, broken, still)
    report = schedule.run()
    return report, cast(TurnNotes, report.notes)
