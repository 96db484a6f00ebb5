"""Writes what becomes of seats: the call into a lane, REVOKED, or a dead letter. Who is called was decided before."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

import msgspec
from muster.contracts.catalog import TaskDescription
from muster.contracts.dead_letter import dead_letter_headers, provenance_of, task_of_unreadable
from muster.contracts.envelope import Failure, Headers, TaskRecord, parse_task
from muster.contracts.errors import InvalidRecord, Unauthenticated
from muster.contracts.events import Revoked, encode_event
from muster.contracts.states import FailureKind
from muster.contracts.topics import Topics
from muster.observability.logging import get_logger
from muster.observability.metrics import TURNS_CALLED
from muster.ports import Clock, Position

from tracker_service.recovery.fence import Fence, Write
from tracker_service.turns.decision import Verdict
from tracker_service.turns.room import Waiting
from tracker_service.turns.seat import Seat, decode_headers, lane_record

#: The announced description of a task type.
Find = Callable[[str], Awaitable[TaskDescription | None]]

_log = get_logger(__name__)


class Calling:
    """The records of one leader."""

    def __init__(self, fence: Fence, topics: Topics, find: Find, author: str, clock: Clock) -> None:
        """`author`: the name of this tracker, as in its heartbeats."""
        self._fence = fence
        self._topics = topics
        self._find = find
        self._author = author
        self._clock = clock
        self._lanes = frozenset(topics.all_lanes())

    async def call(self, seats: Sequence[Seat]) -> None:
        """Write the calls of seats, given as they are after their mark: all of them or none.

        Raises:
            BrokerError: another tracker leads, or the outcome is unknown until the fence is taken anew.
        """
        await self._fence.write([await self._call(seat) for seat in seats])

    async def take_back(self, found: Sequence[tuple[Waiting, Verdict]]) -> None:
        """Say REVOKED of tasks that wait. Raises as `call` does."""
        await self._fence.write([self._revoked(waiting, verdict) for waiting, verdict in found])

    def _revoked(self, waiting: Waiting, verdict: Verdict) -> Write:
        seat, expired = waiting.seat, verdict is Verdict.EXPIRED
        event = Revoked(
            task_id=seat.task_id, task_type=seat.task_type, attempt=seat.attempt, delivery=seat.delivery,
            redrive=seat.redrive, worker=self._author, at=self._clock.now(),
            reason="expired" if expired else "revoked", by=None if expired else waiting.asked_by,
            **self._last_record(seat)._asdict(),
        )  # fmt: skip
        return self._topics.events, seat.task_id.encode(), encode_event(event), ()

    def _last_record(self, seat: Seat) -> Position:
        """What could still start it: the lane record it came from, else nothing, which its place at the door says."""
        lane = lane_record(seat.left, self._topics) if seat.left else None
        return lane or Position(self._topics.keyed, seat.partition or 0, seat.offset or 0)

    async def _call(self, seat: Seat) -> Write:
        headers = decode_headers(seat.headers or b"\x90")
        try:
            task = parse_task(headers, seat.body)
            lane = await self._lane_of(task)
        except InvalidRecord as error:
            return self._refuse(seat, headers, error)
        again = called(task, (seat.stage + 1) // 2, lane, self._clock.now())
        topic = self._topics.retry if again.route else lane
        TURNS_CALLED.labels(self._topics.service_of_lane(lane) or "unknown").inc()
        return topic, again.key, again.body, again.headers()

    async def _lane_of(self, task: TaskRecord) -> str:
        """Where it shall run: the lane it names, else that of its type.

        Raises:
            InvalidRecord: it names none, and no worker has announced its type.
        """
        if task.route in self._lanes:
            return task.route
        description = await self._find(task.task_type)
        if task.route is not None or description is None:
            raise InvalidRecord(
                f"its record names {(task.route or 'no lane')[:100]} (header task-route) and no worker has announced "
                f"{task.task_type}: give the lane it shall run in"
            )
        return self._topics.lane(description.service, description.default_lane)

    def _refuse(self, seat: Seat, headers: Headers, error: InvalidRecord) -> Write:
        """What cannot be called is final: the record verbatim, and why."""
        topic, partition, offset = self._topics.keyed, seat.partition or 0, seat.offset or 0
        task = task_of_unreadable(headers, topic=topic, partition=partition, offset=offset)
        task = msgspec.structs.replace(task, task_id=seat.task_id, redrive=seat.redrive)
        now = self._clock.now()
        failure = Failure(
            kind=FailureKind.UNAUTHENTICATED if isinstance(error, Unauthenticated) else FailureKind.INVALID,
            error=type(error).__name__, message=str(error), worker=self._author, failed_at=now,
        )  # fmt: skip
        provenance = provenance_of(
            task, failure, topic=topic, partition=partition, offset=offset,
            timestamp_ms=int(seat.came_at.timestamp() * 1000) if seat.came_at.year < _FAR else 0, now=now,
        )  # fmt: skip
        _log.warning("Refused a record at the door", action="turns.refused", task_id=seat.task_id, error=str(error))
        return self._topics.dead_letter, task.key, seat.body, dead_letter_headers(headers, provenance)


#: A mark puts the time of a seat beyond any year.
_FAR = 9999


def called(task: TaskRecord, turn: int, lane: str, now: datetime) -> TaskRecord:
    """The same task on its `turn`th call: for its lane, or, with a route, on its way to it when it is due later."""
    early = task.not_before is not None and task.not_before > now
    return msgspec.structs.replace(
        task,
        sequenced=turn,
        handover=0,
        left=None,
        route=lane if early else None,
        not_before=task.not_before if early else None,
    )
