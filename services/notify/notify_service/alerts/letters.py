"""Reads a record of `tasks.dead-letter` as alerts see it. A record that cannot be read is told too, as `unreadable`."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

from muster.contracts.dead_letter import nameless_id, parse_provenance
from muster.contracts.errors import UNREADABLE
from muster.contracts.signature import refusal_of
from muster.contracts.topics import Topics
from muster.observability.redaction import redact_text
from muster.ports import Record

from notify_service.domain.alert_rules import Failed
from notify_service.domain.alerting import Letter

MAX_MESSAGE = 500
MAX_NAME = 200


def letter_of(record: Record, topics: Topics, now: datetime) -> Letter:
    """Never fails; no letter is from the future, whatever its producer's clock said."""
    milliseconds = min(max(record.timestamp_ms, 0), int(now.timestamp() * 1000))
    at = datetime.fromtimestamp(milliseconds / 1000, UTC)
    try:
        why = parse_provenance(record.headers)
    except (*UNREADABLE, ValueError, OverflowError):
        return _unreadable(record, at)
    failure = why.failure
    kind, error = _name(failure.kind), _name(failure.error)
    failed = Failed(topics.service_of_lane(why.topic) or "unknown", _name(why.task_type) or "unknown", kind, error)
    return Letter(
        task_id=_name(why.task_id), failed=failed,
        fingerprint=failure.fingerprint or f"{kind}/{error}",
        message=_text(redact_text(failure.message, limit=MAX_MESSAGE)),
        attempt=min(max(why.attempt, 0), 2**31 - 1), at=at,
    )  # fmt: skip


def _unreadable(record: Record, at: datetime) -> Letter:
    refused = refusal_of(record.headers) is not None
    kind = "unauthenticated" if refused else "unreadable"
    said = "nobody vouches for it" if refused else "it was not written by a muster worker"
    return Letter(
        task_id=nameless_id(record.topic, record.partition, record.offset),
        failed=Failed("unknown", "unknown", kind, ""),
        fingerprint=hashlib.sha256(f"{kind} dead letter".encode()).hexdigest()[:16],
        message=f"A record of the dead-letter topic cannot be read: {said}.", attempt=0, at=at,
    )  # fmt: skip


def _name(text: str) -> str:
    """On one line: names stand in subjects, where a line break would be another header."""
    return " ".join(_text(text).split())[:MAX_NAME]


def _text(text: str) -> str:
    """As PostgreSQL and a mail can hold it."""
    return "".join(letter if letter.isprintable() or letter in "\n\t" else " " for letter in text)
