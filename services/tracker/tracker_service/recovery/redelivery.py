"""Brings a lost task back to its lane, or gives it up as a dead letter. Which tasks are lost was decided before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec
from muster.contracts.dead_letter import Provenance, dead_letter_headers
from muster.contracts.envelope import Failure, TaskRecord, parse_task
from muster.contracts.errors import InvalidRecord
from muster.contracts.recovery import is_given_up
from muster.contracts.states import FailureKind
from muster.contracts.topics import Topics
from muster.observability.logging import get_logger
from muster.observability.metrics import REDELIVERED
from muster.ports import Clock, Position, Record

from tracker_service.recovery.claims import Suspect
from tracker_service.recovery.fence import Fence, Write
from tracker_service.recovery.originals import Originals

#: Records in memory at a time: each may be as large as an image.
CHUNK = 32
#: A transaction lasts at most 5 s, and a slow disk takes a few megabytes in a second.
TRANSACTION_BYTES = 4 * 1024 * 1024

_log = get_logger(__name__)


class Lost(NamedTuple):
    """A task to bring back or to give up; `pointer` is the record that a dead worker had accepted."""

    suspect: Suspect
    pointer: Position


class Redelivery:
    """Writes delivery + 1. One record is the whole redelivery: the projection folds it like any other."""

    def __init__(self, originals: Originals, fence: Fence, topics: Topics, clock: Clock) -> None:
        self._originals = originals
        self._fence = fence
        self._topics = topics
        self._clock = clock

    async def settle(self, lost: Sequence[Lost]) -> None:
        """Write one record per lost task and wait until Kafka has them all.

        Raises:
            BrokerError: some may be missing; whoever judges next sees which in the projection.
        """
        ordered = sorted(lost, key=lambda task: task.pointer)
        for first in range(0, len(ordered), CHUNK):
            chunk = ordered[first : first + CHUNK]
            records = await self._originals.read([task.pointer for task in chunk])
            for batch in _small([self._record(task, records) for task in chunk]):
                await self._fence.write(batch)

    def _record(self, lost: Lost, records: Mapping[Position, Record]) -> Write:
        suspect = lost.suspect
        record = records.get(lost.pointer)
        task = _task_of(record, suspect.task_id)
        if record is None or task is None:
            why = "its record is no longer in Kafka, so it cannot be run again: submit it anew"
            return self._give_up(lost, None, why)
        if is_given_up(task):
            why = f"{task.losses} workers were lost while they ran it: find out why it ends its process"
            return self._give_up(lost, record, why)
        again = msgspec.structs.replace(task, delivery=suspect.delivery + 1, handover=0)
        REDELIVERED.labels(self._topics.service_of_lane(record.topic) or "unknown").inc()
        _log.info(
            "Running a lost task again", action="recovery.redelivered", task_id=task.task_id, delivery=again.delivery
        )
        return record.topic, again.key, record.value, again.headers()

    def _give_up(self, lost: Lost, record: Record | None, why: str) -> Write:
        suspect, pointer, now = lost.suspect, lost.pointer, self._clock.now()
        workers = tuple(dict.fromkeys(claim.worker for claim in suspect.claims))
        failure = Failure(
            kind=FailureKind.WORKER_LOST, error="WorkerLost", message=why, worker=workers[-1], failed_at=now
        )
        provenance = Provenance(
            task_id=suspect.task_id, task_type=suspect.task_type, topic=pointer.topic, partition=pointer.partition,
            offset=pointer.offset, timestamp_ms=record.timestamp_ms if record else 0, attempt=suspect.attempt,
            delivery=suspect.delivery, failure=failure, failed_at=now, first_failed_at=now, redrive=suspect.redrive,
        )  # fmt: skip
        known = TaskRecord(task_id=suspect.task_id, task_type=suspect.task_type, body=b"", redrive=suspect.redrive)
        headers = dead_letter_headers(record.headers if record else known.headers(), provenance)
        _log.warning("Gave a task up", action="recovery.gave_up", task_id=suspect.task_id, reason=why)
        return self._topics.dead_letter, known.key, record.value if record else None, headers


def _small(writes: Sequence[Write]) -> Iterator[list[Write]]:
    """Batches that one transaction has time for."""
    batch: list[Write] = []
    size = 0
    for write in writes:
        length = len(write[2] or b"")
        if batch and size + length > TRANSACTION_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(write)
        size += length
    if batch:
        yield batch


def _task_of(record: Record | None, task_id: str) -> TaskRecord | None:
    """The record as the task it should be; None for anything else that stands at its place by now."""
    if record is None:
        return None
    try:
        task = parse_task(record.headers, record.value)
    except InvalidRecord:
        return None
    return task if task.task_id == task_id else None
