"""A delayed record as it is written on: verbatim to a retry topic, unpacked to its lane, explained to the dead letter.

Pure; where it goes was decided by the wheel.
"""

from __future__ import annotations

from datetime import datetime

from muster.contracts.dead_letter import dead_letter_headers, provenance_of
from muster.contracts.envelope import Failure
from muster.contracts.signature import REFUSAL, SIGNATURE
from muster.contracts.states import FailureKind
from muster.ports import Headers

from scheduler_service.wheel import Traveller

#: Topic, key, value, headers: what a transactional producer moves.
Outgoing = tuple[str, bytes | None, bytes | None, Headers]

#: Only the way to the lane needed them: a task that fails again gets new ones.
_TRAVEL_HEADERS = frozenset({"task-notbefore", "task-route"})
#: Of the topic that the record leaves: it fits no other, and the producer adds its own.
_LEFT_BEHIND = frozenset({SIGNATURE})


def to_retry_topic(traveller: Traveller, topic: str) -> Outgoing:
    record = traveller.record
    headers = [pair for pair in record.headers if pair[0] not in _LEFT_BEHIND]
    return topic, traveller.task.task_id.encode(), record.value, headers


def to_lane(traveller: Traveller) -> Outgoing:
    """As it would have been submitted now: unknown headers stay, the due time does not."""
    headers = [pair for pair in traveller.record.headers if pair[0] not in _TRAVEL_HEADERS | _LEFT_BEHIND]
    return traveller.destination, traveller.task.key, traveller.record.value, headers


def to_dead_letter(traveller: Traveller, worker: str, now: datetime) -> Outgoing:
    """The record verbatim, and why the scheduler could not move it."""
    record, task = traveller.record, traveller.task
    unauthenticated = any(name == REFUSAL for name, _ in record.headers)
    failure = Failure(
        kind=FailureKind.UNAUTHENTICATED if unauthenticated else FailureKind.INVALID,
        error="Unauthenticated" if unauthenticated else "InvalidRecord",
        message=traveller.refusal, worker=worker, failed_at=now,
    )  # fmt: skip
    provenance = provenance_of(
        task,
        failure,
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        timestamp_ms=record.timestamp_ms,
        now=now,
    )
    key = record.key if record.key is not None else task.key
    return traveller.destination, key, record.value, dead_letter_headers(record.headers, provenance)
