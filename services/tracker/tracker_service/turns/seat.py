"""A seat in the waiting room: what the log says of one round of one task there, joined whatever the order. Pure.

The same join stands once more in SQL (turns/statements.py), where a batch meets what is stored; a test holds them
together. Whose turn it is, is decision.py's.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from datetime import datetime
from operator import attrgetter
from typing import NamedTuple

import msgspec
from muster.contracts.envelope import TaskRecord
from muster.contracts.topics import Topics
from muster.ports import Headers, Position, Record


class SeatKey(NamedTuple):
    """A seat belongs to one round of a task: a redriven task takes a new one."""

    task_id: str
    redrive: int


@dataclass(frozen=True, slots=True)
class Seat:
    """A row of `muster.turns`; times are aware UTC instants."""

    task_id: str
    redrive: int
    #: Who waits behind whom: one per order key, one per task that has none.
    queue: str
    task_type: str
    #: 2n: it waits, after n calls. 2n - 1: it was called for the nth time.
    stage: int
    #: Of the record that speaks last.
    attempt: int
    delivery: int
    #: When that record was written.
    came_at: datetime
    #: The call is known to be in Kafka; false also while it waits.
    sent: bool
    expires_at: datetime | None = None
    #: The lane record that a worker took for it (topic/partition/offset); None once nobody can be handed that again.
    left: str | None = None
    #: Its first place at the door, the larger the later; None while only its call has been seen.
    offset: int | None = None
    partition: int | None = None
    #: The record that waits, until it is known to be in its lane.
    headers: bytes | None = None
    body: bytes | None = None

    @property
    def key(self) -> SeatKey:
        return SeatKey(self.task_id, self.redrive)

    @property
    def waits(self) -> bool:
        return self.stage % 2 == 0


def is_left(sequenced: int | None, stage: int) -> bool:
    """A task whose seat is in this stage was called since its record with this `task-sequenced` was written.

    A claim to that record is void: the call came after the group had committed past the record, and what had been
    claimed before that commit was seen (docs/decisions/0006).
    """
    return sequenced is not None and sequenced < (stage + 1) // 2


def lane_record(left: str, topics: Topics) -> Position | None:
    """The lane record that `task-left` names; None: it names none of ours."""
    topic, _, rest = left.partition("/")
    partition, _, offset = rest.partition("/")
    numbers = (partition.isascii() and partition.isdigit(), offset.isascii() and offset.isdigit())
    if topics.service_of_lane(topic) is None or not all(numbers):
        return None
    return Position(topic, int(partition), int(offset))


SEAT_COLUMNS = tuple(field.name for field in fields(Seat))
seat_values = attrgetter(*SEAT_COLUMNS)


def came_in(task: TaskRecord, record: Record, at: datetime) -> Seat:
    """What a record of `tasks.keyed` says: this task waits."""
    return _seat(
        task, at, stage=2 * task.sequenced, offset=record.offset, partition=record.partition,
        headers=encode_headers(record.headers), body=record.value, left=task.left,
    )  # fmt: skip


def was_called(task: TaskRecord, at: datetime) -> Seat:
    """What a record with `task-sequenced` says in a lane or in `tasks.retry`: this task has had its turn."""
    return _seat(task, at, stage=2 * task.sequenced - 1, sent=True)


def join(known: Seat | None, said: Seat) -> Seat:
    """Both, in any order: the later fact about the turn, the first place at the door."""
    if known is None:
        return said
    latest = said if _rank(said) > _rank(known) else known
    if _rank(said) == _rank(known):
        latest = replace(latest, came_at=min(known.came_at, said.came_at))
        if said.sent:
            # It is in Kafka: nobody has to write it again.
            latest = replace(latest, sent=True, headers=None, body=None)
    offset, partition = min((_place(seat) for seat in (known, said) if seat.offset is not None), default=(None, None))
    return replace(latest, queue=known.queue, offset=offset, partition=partition)


def encode_headers(headers: Headers) -> bytes:
    return msgspec.msgpack.encode(list(headers))


decode_headers = msgspec.msgpack.Decoder(tuple[tuple[str, bytes], ...]).decode


def _seat(
    task: TaskRecord,
    at: datetime,
    *,
    stage: int,
    sent: bool = False,
    offset: int | None = None,
    partition: int | None = None,
    headers: bytes | None = None,
    body: bytes | None = None,
    left: str | None = None,
) -> Seat:
    queue = f"t{task.task_id}" if task.order_key is None else f"k{task.order_key}"
    return Seat(
        task.task_id, task.redrive, queue, task.task_type, stage, task.attempt, task.delivery, at, sent,
        task.expires, left, offset, partition, headers, body,
    )  # fmt: skip


def _rank(seat: Seat) -> tuple[int, int, int]:
    return seat.stage, seat.attempt, seat.delivery


def _place(seat: Seat) -> tuple[int, int]:
    # By offset: one key is one partition, unless a foreign producer deals keys out by its own rule.
    return seat.offset or 0, seat.partition or 0
