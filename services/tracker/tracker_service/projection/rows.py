"""The rows of the projection as the fold builds them, in the order of the columns. How they are joined is fold.py's."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from operator import attrgetter
from typing import Any, NamedTuple

from muster.contracts.states import TaskState


@dataclass(slots=True)
class TaskRow:
    """A row of `muster.tasks`; times are aware UTC instants."""

    task_id: str
    task_type: str
    rank: int
    #: When the fact that won was written; between equal ranks the later one wins, between equal ends the earlier one.
    changed_at: datetime
    state: str = TaskState.PENDING.value
    redrive: int = 0
    attempt: int = 1
    delivery: int = 1
    worker: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    next_attempt_at: datetime | None = None
    #: JSON.
    result: str | None = None
    detail: str | None = None
    # What follows was said at the submission: every record of the task repeats it, and the first that says it is kept.
    service: str | None = None
    lane: str | None = None
    submitted_at: datetime | None = None
    expires_at: datetime | None = None
    submitter: int | None = None
    root: str | None = None
    parent: str | None = None
    group_id: str | None = None
    parameters: str | None = None
    parameters_bytes: int | None = None


TASK_COLUMNS = tuple(field.name for field in fields(TaskRow))
task_values = attrgetter(*TASK_COLUMNS)


class ClaimKey(NamedTuple):
    """Which delivery a worker claims, and the record it took."""

    task_id: str
    redrive: int
    attempt: int
    delivery: int
    worker: str
    topic: str
    partition: int
    offset: int


class ClaimRow(NamedTuple):
    """A row of `muster.claims`; `seq` is the event's own offset."""

    key: ClaimKey
    rank: int
    started_at: datetime
    abandoned: bool
    seq: int
    #: How often the task had been called when the record it took was written; None: not known.
    sequenced: int | None = None


class Ended(NamedTuple):
    """A worker's own end of an attempt: its claim is settled. `delivery` 0: whichever it was."""

    task_id: str
    redrive: int
    attempt: int
    delivery: int
    worker: str


class AttemptRow(NamedTuple):
    """A row of `muster.attempts`; `failure` is JSON."""

    task_id: str
    redrive: int
    attempt: int
    worker: str
    started_at: datetime | None
    ended_at: datetime
    failure: str
    #: It ended in a dead letter; nothing followed in its round.
    final: bool = False


class RoundRow(NamedTuple):
    """A row of `muster.rounds`: what a redrive began."""

    task_id: str
    redrive: int
    task_type: str
    began_at: datetime
    parameters: str | None
    parameters_bytes: int


class HandBackRow(NamedTuple):
    """A row of `muster.hand_backs`."""

    task_id: str
    redrive: int
    attempt: int
    delivery: int
    worker: str
    at: datetime


class ProgressRow(NamedTuple):
    """A row of `muster.progress`."""

    task_id: str
    rank: int
    at: datetime
    done: float
    total: float | None
    message: str


class WorkerRow(NamedTuple):
    """A row of `muster.workers`; `seq` is the beat's offset."""

    worker: str
    service: str
    seq: int
    at: datetime
    host: str
    version: str
    slots: int
    running: int
    started_at: datetime | None
    rss_bytes: int
    leaving: bool
    tasks: list[str]
    partitions: list[str]


class CatalogRow(NamedTuple):
    """A row of `muster.catalog`; None: withdrawn."""

    task_type: str
    seq: int
    description: str | None


class RevocationRow(NamedTuple):
    """A row of `muster.revocations`; `requested_at` None: withdrawn."""

    task_id: str
    seq: int
    requested_at: datetime | None
    terminate: bool
    asked_by: int | None
    reason: str
    #: The round it was ordered in.
    redrive: int = 0


class RuleRow(NamedTuple):
    """A row of `muster.revocation_rules`; `requested_at` None: withdrawn."""

    rule_id: str
    seq: int
    requested_at: datetime | None
    task_type: str | None = None
    submitter: int | None = None
    state: str | None = None
    terminate: bool = False
    asked_by: int | None = None
    reason: str = ""


class MetRow(NamedTuple):
    """A row of `muster.revoked_records`: a worker had this record of a revoked task in hand."""

    task_id: str
    topic: str
    partition: int
    offset: int
    at: datetime


class PauseRow(NamedTuple):
    """A row of `muster.pauses`; `paused_at` None: resumed."""

    task_type: str
    seq: int
    paused_at: datetime | None
    asked_by: int | None


Row = tuple[Any, ...]
