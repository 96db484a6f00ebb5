"""What PostgreSQL can hold of what a record says: checks that raise InvalidRecord, and text without NUL. Pure.

What the records mean is reading.py's.
"""

from __future__ import annotations

from datetime import UTC, datetime

from muster.contracts.envelope import MAX_ATTEMPT, Failure, TaskRecord
from muster.contracts.errors import InvalidRecord
from muster.contracts.events import Abandoned, AnyEvent, Started
from muster.ports import Record

MAX_INT32, MAX_INT64 = 2**31 - 1, 2**63 - 1
_FIRST_YEAR, _LAST_YEAR = 1970, 9999


def storable(task: TaskRecord) -> TaskRecord:
    """A task whose instants and failure PostgreSQL can hold."""
    for instant in (task.submitted_at, task.not_before, task.expires):
        if instant is not None:
            check_instant(instant)
    if task.failure is not None:
        check_failure(task.failure)
    if task.handed_back is not None:
        check_name(task.handed_back.worker)
        check_instant(task.handed_back.at)
    return task


def check_failure(failure: Failure) -> None:
    check_name(failure.worker)
    for instant in (failure.started_at, failure.failed_at):
        if instant is not None:
            check_instant(instant)


def check_event(event: AnyEvent) -> None:
    check_numbers(event.redrive, event.attempt, event.delivery)
    check_instant(event.at)
    check_name(event.task_id)
    check_name(event.task_type)
    check_name(event.worker)


def check_claim(event: Started | Abandoned) -> None:
    check_pointer(event.topic, event.partition, event.offset)
    within(event.sequenced or 0, MAX_INT32)


def check_pointer(topic: str, partition: int, offset: int) -> None:
    check_name(topic)
    within(partition, MAX_INT32)
    within(offset, MAX_INT64)


def check_numbers(redrive: int, attempt: int, delivery: int) -> None:
    if not (0 <= redrive <= MAX_ATTEMPT and 0 < attempt <= MAX_ATTEMPT and 0 < delivery <= MAX_ATTEMPT):
        raise InvalidRecord(f"redrive {redrive}, attempt {attempt}, delivery {delivery}: at most {MAX_ATTEMPT} each")


def check_instant(instant: datetime) -> None:
    if instant.tzinfo is None or not _FIRST_YEAR <= instant.year < _LAST_YEAR:
        raise InvalidRecord(f"an instant must name its offset and lie between 1970 and 9998; got {instant}")


def check_name(name: str) -> None:
    if "\0" in name or len(name) > 1000:
        raise InvalidRecord("a name holds a NUL, or more than 1,000 characters")


def within(number: int, highest: int) -> int:
    if not 0 <= number <= highest:
        raise InvalidRecord(f"the number {number} does not lie between 0 and {highest}")
    return number


def timestamp(record: Record) -> datetime:
    return datetime.fromtimestamp(within(record.timestamp_ms, 253_370_764_800_000) / 1000, UTC)


def clean(text: str) -> str:
    """PostgreSQL's text holds no NUL."""
    return text.replace("\0", "")


def text(json: bytes) -> str:
    return clean(json.decode(errors="replace"))
