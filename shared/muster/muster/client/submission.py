"""One submission as data: checked, turned into JSON, addressed to its lane. Pure; sending it is transports.py's."""

from __future__ import annotations

import base64
import os
import time
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import msgspec

from muster.client.files import Attachment, Attachments, File
from muster.contracts.envelope import TaskRecord, parse_task
from muster.contracts.errors import InvalidRecord, SubmitRefused
from muster.contracts.topics import MAX_BODY_BYTES, Lane, Topics

#: The same idempotency key of the same task type always names the same task.
_KEYED_IDS = uuid.UUID("0b8f6c1e-9d0a-5b7e-8a35-2f1c6d9e4a77")
#: Time is told in whole years at most: what is due later is a mistake in the units.
_FARTHEST = timedelta(days=366)


class Submission(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller asks for. Instants are aware; `body` is the JSON object of parameters."""

    task_id: str
    task_type: str
    body: bytes
    #: The caller chose the id, and counts on it.
    own_id: bool = False
    lane: Lane | None = None
    due: datetime | None = None
    expires: datetime | None = None
    submitter: int | None = None
    order_key: str | None = None
    idempotency_key: str | None = None
    #: The service that runs this type; None: look it up in the catalog.
    service: str | None = None
    #: Files that the body refers to, to be handed in before the record is sent.
    files: tuple[Attachment, ...] = ()

    def record(self, lane_topic: str, *, now: datetime, source: str = "muster-client") -> TaskRecord:
        """The task record; one that must wait names the lane it goes to when it is due, or its turn comes."""
        return TaskRecord(
            task_id=self.task_id,
            task_type=self.task_type,
            body=self.body,
            not_before=self.due,
            expires=self.expires,
            route=lane_topic if self.due or self.order_key else None,
            submitter=self.submitter,
            order_key=self.order_key,
            submitted_at=now,
            source=source,
        )

    def topic(self, topics: Topics, lane_topic: str) -> str:
        """Where it is written: the waiting room with an order key, the retry topic with a due time, else its lane."""
        if self.order_key:
            return topics.keyed
        return topics.retry if self.due else lane_topic

    def request(self) -> dict[str, Any]:
        """The body of POST /api/tasks; what was not given is left out.

        Raises:
            SubmitRefused: it asks for what only a direct way to Kafka can give.
        """
        if self.own_id:
            raise SubmitRefused("the API chooses ids itself: give an idempotency_key instead of a task_id")
        fields = {
            "name": self.task_type,
            "parameters": msgspec.Raw(self.body),
            "lane": self.lane,
            "eta": self.due,
            "expires": self.expires,
            "order_key": self.order_key,
            # For API keys with the scope `act`; a person submits for nobody else.
            "submitter": self.submitter,
            # Requests are repeated when an answer gets lost: the key makes the repeat the same task.
            "idempotency_key": self.idempotency_key or self.task_id,
        }
        return {name: value for name, value in fields.items() if value is not None}


def prepare(
    task_type: str,
    parameters: Mapping[str, Any] | None = None,
    *,
    now: datetime,
    lane: Lane | str | None = None,
    countdown: float | None = None,
    eta: datetime | None = None,
    expires: float | datetime | None = None,
    submitter: int | None = None,
    order_key: str | None = None,
    task_id: str | None = None,
    idempotency_key: str | None = None,
    service: str | None = None,
    refers_to_files: bool = False,
) -> Submission:
    """Check what a caller asked for. `countdown` and a numeric `expires` are seconds from now; a `File` becomes a
    reference where it may, else base64 text.

    Raises:
        SubmitRefused: the submission cannot be written as it is.
    """
    if task_id is not None and idempotency_key is not None:
        raise SubmitRefused("give task_id or idempotency_key, not both: the key already decides the id")
    check_names(task_type, task_id, order_key)
    due, chosen_id = _due(countdown, eta, now), task_id or new_task_id(task_type, idempotency_key)
    files = Attachments(chosen_id, now, due) if refers_to_files else None
    return Submission(
        task_id=chosen_id,
        task_type=task_type,
        body=encode_parameters(task_type, parameters or {}, files),
        files=tuple(files.found) if files else (),
        own_id=task_id is not None,
        lane=_lane(lane),
        due=due,
        expires=_instant("expires", expires, now),
        submitter=submitter,
        order_key=order_key,
        idempotency_key=idempotency_key, service=service,
    )  # fmt: skip


@lru_cache(maxsize=512)
def check_names(task_type: str, task_id: str | None = None, order_key: str | None = None) -> None:
    """Hold names against the record's own contract, so that nothing is written that no worker could read.

    Raises:
        SubmitRefused: a name is too long, empty, or has letters it may not have.
    """
    record = TaskRecord(task_id=task_id or "id", task_type=task_type, body=b"", order_key=order_key)
    try:
        parse_task(record.headers(), b"")
    except InvalidRecord as error:
        raise SubmitRefused(str(error)) from None


def encode_parameters(task_type: str, parameters: Mapping[str, Any], files: Attachments | None = None) -> bytes:
    """Parameters as one JSON object; bytes become base64 text, dates ISO 8601; `files` takes each `File`.

    Raises:
        SubmitRefused: a value has no JSON form.
    """
    try:
        body = (files.encoder(_json_form) if files else _encoder).encode(dict(parameters))
    except (TypeError, ValueError, OverflowError, msgspec.MsgspecError) as error:
        raise SubmitRefused(f"{task_type} was given a parameter that cannot be written as JSON: {error}") from error
    if len(body) > MAX_BODY_BYTES:
        raise SubmitRefused(
            f"the parameters of {task_type} are {len(body):,} bytes, {MAX_BODY_BYTES:,} may be sent: "
            "send large files as an https:// URL, or as a muster.client.File"
        )
    return body


def new_task_id(task_type: str, idempotency_key: str | None = None) -> str:
    """A time-ordered UUID (version 7), or the fixed one of an idempotency key."""
    if idempotency_key is not None:
        return str(uuid.uuid5(_KEYED_IDS, f"{task_type}/{idempotency_key}"))
    # Ids that grow with time keep the index of the tracker's table in one warm corner.
    moment = int(time.time() * 1000).to_bytes(6, "big")
    noise = bytearray(os.urandom(10))
    noise[0] = 0x70 | noise[0] & 0x0F
    noise[2] = 0x80 | noise[2] & 0x3F
    return str(uuid.UUID(bytes=moment + bytes(noise)))


def _json_form(value: object) -> object:
    if isinstance(value, memoryview | bytearray):
        return base64.b64encode(value).decode()
    if isinstance(value, File):
        return value.text()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} has no JSON form: pass text, numbers, lists, objects or bytes")


# msgspec itself writes bytes as base64, decimals as text (they keep their digits), dates and UUIDs as usual.
_encoder = msgspec.json.Encoder(enc_hook=_json_form)


def _lane(lane: Lane | str | None) -> Lane | None:
    try:
        return None if lane is None else Lane(lane)
    except ValueError:
        raise SubmitRefused(f"there is no lane {str(lane)[:40]!r}: use high, default or bulk") from None


def _due(countdown: float | None, eta: datetime | None, now: datetime) -> datetime | None:
    if countdown is not None and eta is not None:
        raise SubmitRefused("give countdown (seconds) or eta (an instant), not both")
    due = _instant("eta", eta, now) if countdown is None else _instant("countdown", countdown, now)
    # What is due already takes the direct way.
    return None if due is None or due <= now else due


def _instant(name: str, value: float | datetime | None, now: datetime) -> datetime | None:
    if value is None:
        return None
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise SubmitRefused(f"{name} has no time zone: pass an aware datetime")
        instant = value.astimezone(UTC)
    elif isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _FARTHEST.total_seconds():
        raise SubmitRefused(f"{name} must be seconds from 0 to a year, or an aware datetime; got {value!r}")
    else:
        instant = now + timedelta(seconds=value)
    if instant - now > _FARTHEST:
        raise SubmitRefused(f"{name} is more than a year away: {instant.isoformat()}")
    return instant
