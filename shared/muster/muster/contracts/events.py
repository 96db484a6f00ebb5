"""The events of `tasks.events`: what workers say of tasks, as tagged JSON.

Retries and failures are no events: they are records of their own topics.
Every event names the task, its type and the round (`redrive`), so that one event alone tells which task it is about.
"""

from __future__ import annotations

from datetime import datetime

import msgspec


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="event", gc=False):
    """What all events carry. Times are aware UTC instants."""

    task_id: str
    task_type: str
    attempt: int
    delivery: int
    worker: str
    at: datetime
    redrive: int = 0


class Started(Event, frozen=True, kw_only=True, tag="STARTED"):
    """A worker claims this delivery; topic, partition and offset point at the record it took."""

    topic: str
    partition: int
    offset: int
    #: The record's `task-sequenced`: how often its task had been called by then. None: not said.
    sequenced: int | None = None


class Abandoned(Event, frozen=True, kw_only=True, tag="ABANDONED"):
    """The claim is taken back: the commit was refused, so the record belongs to another worker."""

    topic: str
    partition: int
    offset: int
    sequenced: int | None = None


class Progressed(Event, frozen=True, kw_only=True, tag="PROGRESS"):
    """How far a running task has come: `done` of `total`, and a sentence without personal data."""

    done: float
    total: float | None = None
    message: str = ""


class Succeeded(Event, frozen=True, kw_only=True, tag="SUCCESS"):
    """The attempt ended with this JSON result."""

    started_at: datetime
    result: msgspec.Raw = msgspec.Raw(b"null")


class Revoked(Event, frozen=True, kw_only=True, tag="REVOKED"):
    """The task was taken back before it ended; `reason` is revoked or expired."""

    reason: str
    #: users.id of who asked for it; None for an expiry.
    by: int | None = None
    #: The record that a worker had in hand when it said so; of a task that waited for its turn the lane record it came
    #: from, or its place at the door.
    topic: str | None = None
    partition: int = 0
    offset: int = 0
    #: Said by the tracker before this due time: the record is still on its way, and nobody may run it then.
    due: datetime | None = None


AnyEvent = Started | Abandoned | Progressed | Succeeded | Revoked

encode_event = msgspec.json.Encoder().encode
_decoder: msgspec.json.Decoder[AnyEvent] = msgspec.json.Decoder(AnyEvent)


def decode_event(value: bytes) -> AnyEvent:
    """Read a record of `tasks.events`.

    Raises:
        msgspec.MsgspecError: it is not one of these events.
    """
    return _decoder.decode(value)


class Heartbeat(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a worker (or a tracker, as its own clock) says of itself on `tasks.workers`; key = worker."""

    worker: str
    service: str
    at: datetime
    host: str
    version: str
    slots: int
    running: int
    #: Records in its partitions that it has not taken yet.
    waiting: int = 0
    #: Task ids now running (at most 100 are named).
    tasks: tuple[str, ...] = ()
    #: topic:partition of what it owns, so that a full worker can hand over.
    partitions: tuple[tuple[str, int], ...] = ()
    started_at: datetime | None = None
    rss_bytes: int = 0
    #: The last beat of a worker that leaves by itself.
    leaving: bool = False


encode_json = encode_event
decode_heartbeat = msgspec.json.Decoder(Heartbeat).decode
