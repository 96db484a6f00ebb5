"""The dead letter: the original record verbatim, and `dl-` headers that say why it failed.

It *is* the failure: one outcome, one record. Who writes it is the worker's settlement; who alerts is notify.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime

import msgspec

from muster.contracts.envelope import Failure, TaskRecord
from muster.contracts.signature import REFUSAL, refusal_of

PREFIX = "dl-"
#: Namespace of ids given to records that came without a usable one.
NAMELESS = uuid.UUID("6f2f9a58-5a0c-5c07-9b5f-0d8a6d7f4f52")


class Provenance(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where the record lay and how it failed; travels as JSON in the header `dl-provenance`."""

    task_id: str
    task_type: str
    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    attempt: int
    delivery: int
    failure: Failure
    failed_at: datetime
    first_failed_at: datetime | None = None
    redrive: int = 0
    #: Bounded and redacted.
    traceback: str = ""
    traceparent: str | None = None


def nameless_id(topic: str, partition: int, offset: int) -> str:
    """A stable task id for a record without one: the same record always gets the same id."""
    return str(uuid.uuid5(NAMELESS, f"{topic}/{partition}/{offset}"))


def task_of_unreadable(headers: Iterable[tuple[str, bytes]], *, topic: str, partition: int, offset: int) -> TaskRecord:
    """A record that is no task, as far as it can be named.

    One that nobody vouches for is named by its place alone: it may claim the id of a task that runs.
    """
    known = dict(headers)
    claimed = _named(known, "ce_id") if REFUSAL not in known else ""
    return TaskRecord(
        task_id=claimed or nameless_id(topic, partition, offset),
        task_type=_named(known, "ce_type") or "unknown",
        body=b"",
    )


def provenance_of(
    task: TaskRecord,
    failure: Failure,
    *,
    topic: str,
    partition: int,
    offset: int,
    timestamp_ms: int,
    now: datetime,
    traceback: str = "",
) -> Provenance:
    """Why `task`, whose record lay there, has failed for good; `failure` names who found out and when."""
    return Provenance(
        task_id=task.task_id,
        task_type=task.task_type,
        topic=topic,
        partition=partition,
        offset=offset,
        timestamp_ms=timestamp_ms,
        attempt=task.attempt,
        delivery=task.delivery,
        failure=failure,
        failed_at=now,
        first_failed_at=(task.failure.failed_at if task.failure else None) or now,
        redrive=task.redrive,
        traceback=traceback,
        traceparent=task.traceparent,
    )


def dead_letter_headers(original: Iterable[tuple[str, bytes]], provenance: Provenance) -> list[tuple[str, bytes]]:
    """The original's headers untouched, then ours: JSON for machines, the main facts alone for people with kcat."""
    return [
        *(pair for pair in original if not pair[0].startswith(PREFIX) and pair[0] != REFUSAL),
        ("dl-provenance", msgspec.json.encode(provenance)),
        ("dl-kind", provenance.failure.kind.encode()),
        ("dl-error", provenance.failure.message.encode()),
    ]


def original_headers(headers: Iterable[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    """The headers as they were before the record became a dead letter."""
    return [pair for pair in headers if not pair[0].startswith(PREFIX)]


def parse_provenance(headers: Iterable[tuple[str, bytes]]) -> Provenance:
    """Read why a dead letter failed.

    Raises:
        msgspec.MsgspecError: the header is missing or cannot be read, or nobody vouches for the letter.
    """
    headers = tuple(headers)
    if refusal := refusal_of(headers):
        raise msgspec.ValidationError(f"nobody vouches for this letter: {refusal}")
    for name, value in headers:
        if name == "dl-provenance":
            return msgspec.json.decode(value, type=Provenance)
    raise msgspec.ValidationError("header dl-provenance is missing: the record was not written by a muster worker")


def _named(headers: Mapping[str, bytes], name: str) -> str:
    return headers.get(name, b"").decode(errors="replace")[:200]
