"""A simulated worker that knows turns: it keeps uncalled and paused tasks waiting, and begins keyed ones when accepted.

Everything else a worker does is worker.py's.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import msgspec
from muster.contracts.envelope import TaskRecord, parse_task
from muster.ports import Record, TopicPartition
from muster.worker.turns import Pauses

from . import outcomes
from .broker import TOPICS
from .deliveries import Batch, Delivery
from .plan import TROUBLE, Notes, TaskPlan
from .timeline import Timeline
from .worker import FENCE, Worker

#: How often a worker freezes just when it asks to accept keyed tasks, and for how long: others run them by then.
STILL, STILL_SECONDS = 0.1, 28.0


class TurnsMutation(Enum):
    """One rule of the turns broken; the value says which."""

    RUN_UNCALLED = "a worker runs a keyed task that nobody called"
    BEGIN_UNACCEPTED = "a keyed task begins, and tells its success, before its acceptance is confirmed"
    BEGIN_UNFENCED = "a worker that woke up begins a keyed task before it looks at the age of its heartbeat"
    FORGET_CALLS = "a task that comes back to the door does not say how often it was called"
    BUSY_IGNORED = "the next task of a key is called while the one in front has not ended"
    STANDING_IGNORED = "a task is called although it goes on elsewhere"
    UNFENCED_CALLS = "a leader that was deposed can still call"
    NO_TAKEOVER_BARRIER = "a new leader calls before the projection has passed what was written"
    UNCLEARED_CALLS = "a task is called while the lane record it came from may still be handed out"
    NO_CLEARING_BARRIER = "seats are cleared before the projection has passed what was written"
    LEFT_COUNTS = "recovery believes a claim to a record that its task has left by a later call"
    LOST_CALLS = "a call that was marked and not written is never written again"
    PAUSE_UNHEARD = "a worker runs tasks of a paused type"


@dataclass(frozen=True)
class Run:
    """A run that began."""

    worker: TurnsWorker
    delivery: Delivery

    @property
    def goes_on(self) -> bool:
        """By a process that does not stand still and has not had to stop itself."""
        return self.worker.awake and self.worker.age <= FENCE and not self.delivery.ended


@dataclass
class TurnNotes(Notes):
    """What happened to keyed tasks and to a paused type."""

    #: Tasks of each key in the order of their first starts, and the runs that began.
    first_starts: dict[str, list[str]] = field(default_factory=dict)
    key_runs: dict[str, list[Run]] = field(default_factory=dict)
    calls: dict[tuple[str, int], int] = field(default_factory=dict)
    returns: int = 0

    def began(self, run: Run) -> None:
        task, key = run.delivery.task, run.delivery.task.order_key
        if key is None:
            return
        runs = self.key_runs.setdefault(key, [])
        for other in runs:
            if other.goes_on:
                self.broken.append(f"together: {task.task_id} began while {other.delivery.task.task_id} was running")
        runs.append(run)
        starts = self.first_starts.setdefault(key, [])
        if task.task_id not in starts:
            starts.append(task.task_id)

    def called(self, task_id: str, turn: int) -> None:
        self.calls[task_id, turn] = self.calls.get((task_id, turn), 0) + 1
        if self.calls[task_id, turn] > 1:
            self.broken.append(f"called twice: {task_id} for the {turn}. time")

    def check_order(self, door: Iterable[Record]) -> None:
        """First starts of each key stand in the order of the door."""
        places: dict[str, int] = {}
        for record in door:
            places.setdefault(parse_task(record.headers, record.value).task_id, len(places))
        for key, starts in self.first_starts.items():
            if not places.keys() >= set(starts) or starts != sorted(starts, key=places.__getitem__):
                self.broken.append(f"order: {key} began {starts}")


class TurnsWorker(Worker):
    """A worker with the rules of turns."""

    def __init__(
        self, timeline: Timeline, name: str, broker: Any, group: Any, plans: Mapping[str, TaskPlan], notes: TurnNotes,
        broken: TurnsMutation | None, control: Sequence[Record], still: float,
    ) -> None:  # fmt: skip
        self._still = still
        self._turn_notes, self._broken = notes, broken
        self.pauses, self._control, self._heard = Pauses(), control, 0
        self.hear(len(control))
        super().__init__(timeline, name, broker, group, plans, notes, None)

    def hear(self, until: int) -> None:
        """Read the control topic on, in its order."""
        for record in self._control[self._heard : until]:
            self.pauses.fold(record)
        self._heard = max(self._heard, until)

    def _believes_others_idle(self, record: Record) -> bool:
        """What must wait is kept waiting, not handed over."""
        return not self._must_wait(parse_task(record.headers, record.value)) and super()._believes_others_idle(record)

    def _accept(self, partition: TopicPartition, record: Record) -> None:
        task = parse_task(record.headers, record.value)
        if self._must_wait(task):
            self._keep_waiting(partition, record, task)
            return
        if self.pauses.hold(msgspec.structs.replace(task, order_key=None)):
            self._turn_notes.broken.append(f"paused: {task.task_id} began although its type is paused")
        super()._accept(partition, record)
        if task.order_key is None or self._broken is TurnsMutation.BEGIN_UNACCEPTED:
            self._turn_notes.began(Run(self, self._running[-1]))

    def _must_wait(self, task: TaskRecord) -> bool:
        if self._broken is TurnsMutation.PAUSE_UNHEARD:
            return task.order_key is not None and not task.sequenced
        if self._broken is TurnsMutation.RUN_UNCALLED:
            task = msgspec.structs.replace(task, order_key=None)
        return self.pauses.hold(task)

    def _keep_waiting(self, partition: TopicPartition, record: Record, task: TaskRecord) -> None:
        batch = self._gathered
        batch.offsets[partition] = record.offset + 1
        batch.unacknowledged += 1
        self._turn_notes.returns += 1

        def acknowledged() -> None:
            batch.unacknowledged -= 1
            if batch is self._committing and not batch.unacknowledged:
                self._ask(batch)

        left = f"{record.topic}/{record.partition}/{record.offset}"
        again = msgspec.structs.replace(task, route=record.topic, left=left)
        if self._broken is TurnsMutation.FORGET_CALLS:
            again = msgspec.structs.replace(again, sequenced=0)
        self._broker.send(self, (TOPICS.keyed, again.key, again.body, again.headers()), acknowledged)
        self.later(0.02, self._commit)

    def _begin(self, delivery: Delivery) -> None:
        """What happens to a task once it may run: in the base, its function takes its time."""
        if self._waits(delivery):
            return
        super()._begin(delivery)

    def _waits(self, delivery: Delivery) -> bool:
        return (
            delivery.task.order_key is not None
            and delivery.confirmed is None
            and self._broken is not TurnsMutation.BEGIN_UNACCEPTED
        )

    def _ask(self, batch: Batch) -> None:
        """Now and then it stands still just then: its commit counts, and its tasks are taken for lost."""
        super()._ask(batch)
        keyed = any(delivery.task.order_key for delivery in batch.deliveries)
        if self._still and keyed and self.timeline.now < TROUBLE and self.timeline.random.random() < self._still:
            self._notes.freezes += 1
            self.freeze(STILL_SECONDS)
            self._group.miss(self)

    def _resolve(self, batch: Batch, confirmed: bool) -> None:
        super()._resolve(batch, confirmed)
        if not confirmed or self._broken is TurnsMutation.BEGIN_UNACCEPTED:
            return
        if self.age > FENCE and self._broken is not TurnsMutation.BEGIN_UNFENCED:
            self.die()
            return
        for delivery in batch.deliveries:
            if delivery.task.order_key is not None and not delivery.ended:
                self._turn_notes.began(Run(self, delivery))
                super()._begin(delivery)


def foreign(task: TaskRecord, dice: random.Random, lane: str) -> outcomes.Write:
    """A keyed task as its client writes it: to the door, or, by one that knows no turns, to its lane."""
    if dice.random() < 0.3:
        return lane, task.key, task.body, msgspec.structs.replace(task, route=None).headers()
    return TOPICS.keyed, task.key, task.body, task.headers()
