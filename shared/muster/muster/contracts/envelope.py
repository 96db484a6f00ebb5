"""The task record: a CloudEvents 1.0 event in Kafka's binary mode, read from and written to headers. No I/O.

Only `ce_id` and `ce_type` are required, so that any producer in any language can write one. Unknown headers travel on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, NoReturn

import msgspec

from muster.contracts.errors import InvalidRecord, Problem

Headers = tuple[tuple[str, bytes], ...]

MAX_ATTEMPT = 10_000
_ID = re.compile(r"[\x21-\x7e]{1,200}")
_TYPE = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,199}")
_KNOWN = frozenset(
    {
        "ce_specversion", "ce_id", "ce_type", "ce_source", "ce_time", "content-type",
        "task-attempt", "task-delivery", "task-notbefore", "task-expires", "task-route", "task-root", "task-parent",
        "task-group", "task-submitter", "task-key", "task-redrive", "task-handover", "task-unknown", "task-failure",
        "traceparent",
    }
)  # fmt: skip


class Failure(msgspec.Struct, frozen=True, omit_defaults=True):
    """What went wrong in one attempt; travels in the `task-failure` header of a retry record (JSON)."""

    kind: str
    error: str
    message: str
    worker: str = ""
    started_at: datetime | None = None
    failed_at: datetime | None = None
    fingerprint: str = ""
    #: Each bad field of refused parameters: where, what, code.
    problems: tuple[Problem, ...] = ()


class TaskRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One task as it stands in a lane, in `tasks.retry` or on its way between them."""

    task_id: str
    task_type: str
    #: One JSON object of named parameters, as bytes; parsed only by who runs it.
    body: bytes
    attempt: int = 1
    delivery: int = 1
    #: Do not run before this instant.
    not_before: datetime | None = None
    #: Do not start after this instant.
    expires: datetime | None = None
    #: The lane a delayed record goes to when it is due.
    route: str | None = None
    root: str | None = None
    parent: str | None = None
    group: str | None = None
    #: users.id of who asked for it.
    submitter: int | None = None
    order_key: str | None = None
    redrive: int = 0
    handover: int = 0
    #: Attempts that ended only because no worker knew the task type yet; they burn none of the policy's.
    unknown: int = 0
    submitted_at: datetime | None = None
    source: str = "muster"
    traceparent: str | None = None
    #: Why the attempt before this one failed.
    failure: Failure | None = None
    extra: Headers = ()

    @property
    def key(self) -> bytes:
        """The Kafka key: the order key where there is one, else the task id."""
        return (self.order_key or self.task_id).encode()

    def routed_to(self, lane: str) -> TaskRecord:
        """The same task, to be brought to `lane` when it is due."""
        return msgspec.structs.replace(self, route=lane)

    def headers(self) -> list[tuple[str, bytes]]:
        """Binary-mode headers; defaults are left out."""
        headers = [
            ("ce_specversion", b"1.0"),
            ("ce_id", self.task_id.encode()),
            ("ce_type", self.task_type.encode()),
            ("ce_source", self.source.encode()),
            ("content-type", b"application/json"),
        ]
        if self.submitted_at is not None:
            headers.append(("ce_time", _stamp(self.submitted_at)))
        for name, number, default in (
            ("task-attempt", self.attempt, 1), ("task-delivery", self.delivery, 1), ("task-redrive", self.redrive, 0),
            ("task-handover", self.handover, 0), ("task-unknown", self.unknown, 0),
            ("task-submitter", self.submitter, None),
        ):  # fmt: skip
            if number != default:
                headers.append((name, b"%d" % number if number is not None else b""))
        for name, instant in (("task-notbefore", self.not_before), ("task-expires", self.expires)):
            if instant is not None:
                headers.append((name, _stamp(instant)))
        for name, text in (
            ("task-route", self.route), ("task-root", self.root), ("task-parent", self.parent),
            ("task-group", self.group), ("task-key", self.order_key), ("traceparent", self.traceparent),
        ):  # fmt: skip
            if text is not None:
                headers.append((name, text.encode()))
        if self.failure is not None:
            headers.append(("task-failure", msgspec.json.encode(self.failure)))
        headers.extend(self.extra)
        return headers

    def parameters(self) -> dict[str, Any]:
        """The named parameters.

        Raises:
            InvalidRecord: the body is not one JSON object.
        """
        try:
            value = msgspec.json.decode(self.body) if self.body else {}
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise InvalidRecord(f"the record's value is not JSON: {error}") from error
        if not isinstance(value, dict):
            raise InvalidRecord(f"the record's value must be one JSON object of parameters, not {_json_kind(value)}")
        return value


def parse_task(headers: Iterable[tuple[str, bytes]], value: bytes | None) -> TaskRecord:
    """Read a record of a lane as a task; the body is not parsed here.

    Raises:
        InvalidRecord: the id or the type is missing, or a header cannot be read.
    """
    pairs = tuple(headers)
    known = dict(pairs)
    task_id = _text(known, "ce_id")
    task_type = _text(known, "ce_type")
    if task_id is None or not _ID.fullmatch(task_id):
        _refuse("header ce_id (the task id)", "1 to 200 printable ASCII characters without spaces", task_id)
    if task_type is None or not _TYPE.fullmatch(task_type):
        _refuse("header ce_type (the task type)", "a name such as generate_pdf_report", task_type)
    return TaskRecord(
        task_id=task_id,
        task_type=task_type,
        body=value or b"",
        attempt=_number(known, "task-attempt", 1, low=1) or 1,
        delivery=_number(known, "task-delivery", 1, low=1) or 1,
        not_before=_instant(known, "task-notbefore"),
        expires=_instant(known, "task-expires"),
        route=_text(known, "task-route"),
        root=_text(known, "task-root"),
        parent=_text(known, "task-parent"),
        group=_text(known, "task-group"),
        submitter=_number(known, "task-submitter", None, low=0, high=2**63 - 1),
        order_key=_text(known, "task-key"),
        redrive=_number(known, "task-redrive", 0) or 0,
        handover=_number(known, "task-handover", 0) or 0,
        unknown=_number(known, "task-unknown", 0) or 0,
        submitted_at=_instant(known, "ce_time"),
        source=_text(known, "ce_source") or "unknown",
        traceparent=_text(known, "traceparent"),
        failure=_failure(known.get("task-failure")),
        extra=tuple(pair for pair in pairs if pair[0] not in _KNOWN),
    )


def _refuse(what: str, wanted: str, got: str | None) -> NoReturn:
    found = "it is missing" if got is None else f"got {got[:80]!r}"
    raise InvalidRecord(f"{what} must be {wanted}; {found}")


def _text(headers: Mapping[str, bytes], name: str) -> str | None:
    raw = headers.get(name)
    if not raw:
        return None
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise InvalidRecord(f"header {name} is not UTF-8 text") from error
    if len(text) > 1000 or "\x00" in text:
        _refuse(f"header {name}", "at most 1,000 characters without NUL", text)
    return text


def _number(
    headers: Mapping[str, bytes], name: str, default: int | None, *, low: int = 0, high: int = MAX_ATTEMPT
) -> int | None:
    text = _text(headers, name)
    if text is None:
        return default
    if not re.fullmatch(r"[0-9]{1,19}", text) or not low <= int(text) <= high:
        _refuse(f"header {name}", f"a whole number from {low} to {high}", text)
    return int(text)


def _instant(headers: Mapping[str, bytes], name: str) -> datetime | None:
    text = _text(headers, name)
    if text is None:
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        _refuse(f"header {name}", "an RFC 3339 instant such as 2026-11-23T08:00:00Z", text)
    if instant.tzinfo is None:
        _refuse(f"header {name}", "an RFC 3339 instant with its offset (Z)", text)
    return instant.astimezone(UTC)


def _failure(raw: bytes | None) -> Failure | None:
    if raw is None:
        return None
    try:
        return msgspec.json.decode(raw, type=Failure)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InvalidRecord(f"header task-failure cannot be read: {error}") from error


def _stamp(instant: datetime) -> bytes:
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z").encode()


def _json_kind(value: object) -> str:
    names = {list: "an array", str: "a string", bool: "a boolean", int: "a number", float: "a number"}
    return names.get(type(value), "null")
