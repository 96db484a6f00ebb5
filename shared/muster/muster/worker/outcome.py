"""Decides what happens to a task after it ran. Pure: no Kafka, no store; clock and dice come in as arguments."""

from __future__ import annotations

import hashlib
import random
import traceback
from dataclasses import dataclass
from datetime import datetime, timedelta

from muster.contracts.envelope import Failure, TaskRecord
from muster.contracts.errors import (
    ContractError,
    InvalidParameters,
    PermanentError,
    Retry,
    TimeLimitExceeded,
    Unauthenticated,
)
from muster.contracts.retry import UNKNOWN_TASK
from muster.contracts.states import FailureKind
from muster.observability.logging import format_exception
from muster.observability.redaction import redact_text
from muster.worker.app import TaskType

MAX_MESSAGE = 1000
MAX_TRACEBACK = 6000


@dataclass(frozen=True)
class Succeed:
    """The task ended with this JSON result."""

    result: bytes


@dataclass(frozen=True)
class RetryAt:
    """The attempt failed; the next one may begin at `due`."""

    due: datetime
    failure: Failure
    #: True when the attempt failed only because no one here knows the task type.
    unknown: bool = False


@dataclass(frozen=True)
class DeadLetter:
    """The task has failed for good."""

    failure: Failure
    traceback: str = ""


@dataclass(frozen=True)
class Revoke:
    """The task was taken back; `reason` is revoked or expired, `by` the users.id behind it."""

    reason: str
    by: int | None = None


@dataclass(frozen=True)
class HandBack:
    """The worker leaves; another one shall run the same attempt."""


@dataclass(frozen=True)
class HandOver:
    """Nothing ran: a worker with idle slots, which owns this partition of the same lane, shall run the attempt."""

    partition: int


@dataclass(frozen=True)
class Abandon:
    """The record belongs to another worker: say so and write nothing else."""


Outcome = Succeed | RetryAt | DeadLetter | Revoke | HandBack | HandOver | Abandon


def outcome_of_error(
    error: BaseException, record: TaskRecord, task: TaskType, *, now: datetime, rng: random.Random
) -> RetryAt | DeadLetter:
    """Retry by the task's policy, or the dead letter when the error is final or no attempt is left."""
    kind = _kind(error, task)
    failure = describe(error, kind)
    if kind in (FailureKind.PERMANENT, FailureKind.INVALID):
        return DeadLetter(failure, format_exception(error, limit=MAX_TRACEBACK))
    delay = task.retry.delay(record.attempt - record.unknown, rng)
    if delay is None:
        return DeadLetter(failure, format_exception(error, limit=MAX_TRACEBACK))
    if isinstance(error, Retry) and error.after is not None:
        delay = max(0.0, error.after)
    return RetryAt(now + timedelta(seconds=delay), failure)


def outcome_of_invalid(error: ContractError) -> DeadLetter:
    """What cannot be read as a task is final; nothing ran, so there is no traceback worth keeping."""
    unauthenticated = isinstance(error, Unauthenticated)
    return DeadLetter(describe(error, FailureKind.UNAUTHENTICATED if unauthenticated else FailureKind.INVALID))


def outcome_of_unknown_type(
    record: TaskRecord, service: str, *, now: datetime, rng: random.Random
) -> RetryAt | DeadLetter:
    """A rolling deploy may bring the type within the hour; then it is a dead letter."""
    failure = Failure(
        kind=FailureKind.UNKNOWN_TASK,
        error="UnknownTaskType",
        message=f"no worker of service {service} knows task type {record.task_type}; deploy it or correct ce_type",
        fingerprint=_digest(FailureKind.UNKNOWN_TASK, record.task_type),
    )
    delay = UNKNOWN_TASK.delay(record.unknown + 1, rng)
    return DeadLetter(failure) if delay is None else RetryAt(now + timedelta(seconds=delay), failure, unknown=True)


def describe(error: BaseException, kind: FailureKind) -> Failure:
    """An exception as it may be shown: class, redacted and bounded message, fingerprint for grouping."""
    name = type(error).__name__
    frames = [
        f"{frame.filename.rsplit('/', 1)[-1]}:{frame.name}" for frame in traceback.extract_tb(error.__traceback__)
    ]
    return Failure(
        kind=kind,
        error=name,
        message=redact_text(str(error) or name)[:MAX_MESSAGE],
        fingerprint=_digest(kind, name, *frames),
        problems=error.problems if isinstance(error, InvalidParameters) else (),
    )


def _kind(error: BaseException, task: TaskType) -> FailureKind:
    if isinstance(error, ContractError):
        return FailureKind.INVALID
    if isinstance(error, (PermanentError, *task.permanent)):
        return FailureKind.PERMANENT
    # A task group tells of a limit that one of its tasks met in a group of errors.
    if isinstance(error, TimeLimitExceeded) or (
        isinstance(error, BaseExceptionGroup) and error.subgroup(TimeLimitExceeded)
    ):
        return FailureKind.TIMEOUT
    return FailureKind.ERROR


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
