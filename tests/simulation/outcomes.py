"""The records that simulated workers write, in the real formats. When they are written is worker.py's."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any, Protocol

import msgspec
from muster.contracts.dead_letter import dead_letter_headers, provenance_of
from muster.contracts.envelope import Failure, HandedBack, TaskRecord
from muster.contracts.events import Abandoned, Event, Started, Succeeded, encode_event
from muster.contracts.states import FailureKind
from muster.ports import Headers, Record

from .broker import TOPICS
from .plan import POLICY

Write = tuple[str, bytes | None, bytes | None, Headers]


class Author(Protocol):
    """Who writes."""

    @property
    def name(self) -> str: ...
    def wall(self) -> datetime: ...


class Subject(Protocol):
    """What it is about."""

    @property
    def record(self) -> Record: ...
    @property
    def task(self) -> TaskRecord: ...


def started(author: Author, subject: Subject) -> Write:
    return _event(Started(**_said(author, subject), **_pointer(subject)))


def abandoned(author: Author, subject: Subject) -> Write:
    return _event(Abandoned(**_said(author, subject), **_pointer(subject)))


def succeeded(author: Author, subject: Subject) -> Write:
    return _event(Succeeded(**_said(author, subject), started_at=author.wall()))


def retry(author: Author, subject: Subject, dice: random.Random) -> Write | None:
    """The task itself, attempt + 1, with its due time; None when the policy has none left."""
    task = subject.task
    delay = POLICY.delay(task.attempt, dice)
    if delay is None:
        return None
    due = author.wall() + timedelta(seconds=delay)
    changes = {"attempt": task.attempt + 1, "delivery": 1, "not_before": due, "failure": _failure(author)}
    return delayed(msgspec.structs.replace(task, handed_back=None, route=subject.record.topic, **changes))


def handed_back(author: Author, subject: Subject) -> Write:
    """The same attempt for another worker, due now."""
    task = subject.task
    count = task.handed_back.count + 1 if task.handed_back else 1
    back = HandedBack(count, task.delivery, author.name, author.wall())
    changes = {"delivery": task.delivery + 1, "not_before": author.wall(), "route": subject.record.topic}
    return delayed(msgspec.structs.replace(task, handed_back=back, **changes))


def handed_over(author: Author, subject: Subject) -> Write:
    """The same attempt for an idle worker: a hand-back straight into the lane."""
    task = subject.task
    count = task.handed_back.count + 1 if task.handed_back else 1
    back = HandedBack(count, task.delivery, author.name, author.wall())
    changes = {"delivery": task.delivery + 1, "handed_back": back, "handover": task.handover + 1}
    copy = msgspec.structs.replace(task, **changes)
    return subject.record.topic, copy.key, copy.body, copy.headers()


def copied(subject: Subject) -> Write:
    """The same delivery once more, only that it was handed over: what `handed_over` must not be."""
    copy = msgspec.structs.replace(subject.task, handover=subject.task.handover + 1)
    return subject.record.topic, copy.key, copy.body, copy.headers()


def delayed(task: TaskRecord) -> Write:
    return TOPICS.retry, task.key, task.body, task.headers()


def dead_letter(author: Author, subject: Subject, kind: FailureKind = FailureKind.ERROR) -> Write:
    """The record verbatim, and why it ended."""
    record = subject.record
    provenance = provenance_of(
        subject.task, _failure(author, kind), topic=record.topic, partition=record.partition, offset=record.offset,
        timestamp_ms=record.timestamp_ms, now=author.wall(),
    )  # fmt: skip
    return TOPICS.dead_letter, subject.task.key, record.value, dead_letter_headers(record.headers, provenance)


def _failure(author: Author, kind: FailureKind = FailureKind.ERROR) -> Failure:
    return Failure(kind, "Boom", "it broke", author.name, author.wall(), author.wall())


def _event(event: Event) -> Write:
    return TOPICS.events, event.task_id.encode(), encode_event(event), []


def _said(author: Author, subject: Subject) -> dict[str, Any]:
    task = subject.task
    return {
        "task_id": task.task_id, "task_type": task.task_type, "attempt": task.attempt, "delivery": task.delivery,
        "worker": author.name, "at": author.wall(),
    }  # fmt: skip


def _pointer(subject: Subject) -> dict[str, Any]:
    record, sequenced = subject.record, subject.task.sequenced
    return {"topic": record.topic, "partition": record.partition, "offset": record.offset, "sequenced": sequenced}
