"""The task record: a CloudEvents 1.0 event in Kafka's binary mode, read from and written to headers. No I/O.

Only `ce_id` and `ce_type` are required, so that any producer in any language can write one. Unknown headers travel on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any, NoReturn

import msgspec

from muster.contracts.claim_check import Reference, read_reference
from muster.contracts.errors import UNREADABLE, InvalidRecord, Problem, Unauthenticated
from muster.contracts.header_values import Reader, read_instant, read_text, refuse, whole_number, write_instant
from muster.contracts.signature import REFUSAL, SIGNATURE
from muster.contracts.topics import MAX_BODY_BYTES
from muster.contracts.trace_context import read_traceparent

Headers = tuple[tuple[str, bytes], ...]

MAX_ATTEMPT = 10_000
#: What a producer may add of its own; with the largest body it must still fit a retry record.
MAX_EXTRA_BYTES = 64 * 1024
_ID = re.compile(r"[\x21-\x7e]{1,200}")
_TYPE = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,199}")


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


class HandedBack(msgspec.Struct, frozen=True):
    """The last hand-back of an attempt; travels in the `task-handback` header (JSON) of every record after it."""

    #: How many deliveries of this attempt were handed back: they cost no worker, so they are no losses.
    count: int
    #: The delivery that was handed back last.
    delivery: int
    worker: str
    at: datetime


class TaskRecord(msgspec.Struct, frozen=True, kw_only=True, gc=False):
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
    #: How often the tracker has called it out of the waiting room; a keyed task starts only when it was called.
    sequenced: int = 0
    #: The lane record it came to the waiting room from (topic/partition/offset); that one must never run again.
    left: str | None = None
    redrive: int = 0
    handover: int = 0
    #: Attempts that ended only because no worker knew the task type yet; they burn none of the policy's.
    unknown: int = 0
    submitted_at: datetime | None = None
    source: str = "muster"
    traceparent: str | None = None
    #: Where the parameters lie that are too large for a record; those of `body` go over them.
    reference: Reference | None = None
    #: Why the attempt before this one failed.
    failure: Failure | None = None
    #: The last delivery of this attempt that a leaving worker gave back.
    handed_back: HandedBack | None = None
    extra: Headers = ()

    @property
    def losses(self) -> int:
        """Workers that were lost over this attempt, once this delivery is lost too."""
        return self.delivery - (self.handed_back.count if self.handed_back else 0)

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
            headers.append(("ce_time", write_instant(self.submitted_at)))
        for name, number, default in (
            ("task-attempt", self.attempt, 1), ("task-delivery", self.delivery, 1), ("task-redrive", self.redrive, 0),
            ("task-handover", self.handover, 0), ("task-unknown", self.unknown, 0),
            ("task-sequenced", self.sequenced, 0), ("task-submitter", self.submitter, None),
        ):  # fmt: skip
            if number != default:
                headers.append((name, b"%d" % number if number is not None else b""))
        for name, instant in (("task-notbefore", self.not_before), ("task-expires", self.expires)):
            if instant is not None:
                headers.append((name, write_instant(instant)))
        for name, text in (
            ("task-route", self.route), ("task-root", self.root), ("task-left", self.left), ("task-group", self.group),
            ("task-parent", self.parent), ("task-key", self.order_key), ("traceparent", self.traceparent),
        ):  # fmt: skip
            if text is not None:
                headers.append((name, text.encode()))
        for name, struct in (
            ("task-claim-check", self.reference), ("task-failure", self.failure), ("task-handback", self.handed_back),
        ):  # fmt: skip
            if struct is not None:
                headers.append((name, msgspec.json.encode(struct)))
        headers.extend(self.extra)
        return headers

    def parameters(self) -> dict[str, Any]:
        """The named parameters that the record carries itself.

        Raises:
            InvalidRecord: the body is not one JSON object.
        """
        try:
            value = msgspec.json.decode(self.body) if self.body else {}
        except UNREADABLE as error:
            raise InvalidRecord(f"the record's value is not JSON: {error}") from error
        if not isinstance(value, dict):
            raise InvalidRecord(f"the record's value must be one JSON object of parameters, not {_json_kind(value)}")
        return value


def parse_task(headers: Iterable[tuple[str, bytes]], value: bytes | None) -> TaskRecord:
    """Read a record of a lane as a task; the body is not parsed here.

    Raises:
        InvalidRecord: the id or the type is missing, or a header cannot be read.
        Unauthenticated: who read the record does not believe it.
    """
    fields: dict[str, Any] = {}
    extra: list[tuple[str, bytes]] = []
    for name, raw in headers:
        reader = _READERS.get(name)
        if reader is None:
            extra.append((name, raw))
        elif raw:
            field, read = reader
            fields[field] = read(name, raw)
    if value is not None and len(value) > MAX_BODY_BYTES:
        refuse("the record's value", f"at most {MAX_BODY_BYTES:,} bytes", f"{len(value):,} bytes")
    task_id, task_type = fields.get("task_id"), fields.get("task_type")
    if task_id is None or not _ID.fullmatch(task_id):
        refuse("header ce_id (the task id)", "1 to 200 printable ASCII characters without spaces", task_id)
    if task_type is None or not _TYPE.fullmatch(task_type):
        refuse("header ce_type (the task type)", "a name such as generate_pdf_report", task_type)
    if extra and sum(len(name) + len(raw) for name, raw in extra) > MAX_EXTRA_BYTES:
        refuse("headers that are not ours", f"at most {MAX_EXTRA_BYTES:,} bytes together", "more")
    for ignored in _IGNORED:
        fields.pop(ignored, None)
    if "handed_back" in fields:
        fields["handed_back"] = _plausible(fields["handed_back"], fields.get("delivery", 1))
    return TaskRecord(body=value or b"", extra=tuple(extra), **{"source": "unknown", **fields})


def _plausible(back: HandedBack, delivery: int) -> HandedBack | None:
    """Without more hand-backs than deliveries before this one: a stranger's header would keep a poison task alive."""
    count = min(back.count, delivery - 1)
    return msgspec.structs.replace(back, count=count) if count else None


def _failure(name: str, raw: bytes) -> Failure:
    try:
        return msgspec.json.decode(raw, type=Failure)
    except UNREADABLE as error:
        raise InvalidRecord(f"header {name} cannot be read: {error}") from error


def _handed_back(name: str, raw: bytes) -> HandedBack:
    try:
        back = msgspec.json.decode(raw, type=HandedBack)
    except UNREADABLE as error:
        raise InvalidRecord(f"header {name} cannot be read: {error}") from error
    if not (0 < back.count <= MAX_ATTEMPT and 0 < back.delivery <= MAX_ATTEMPT):
        refuse(f"header {name}", f"counted from 1 to {MAX_ATTEMPT}", f"{back.count}, {back.delivery}")
    return back


def _unauthenticated(name: str, raw: bytes) -> NoReturn:
    raise Unauthenticated(f"nobody vouches for this record: {raw.decode(errors='replace')[:400]}")


def _json_kind(value: object) -> str:
    names = {list: "an array", str: "a string", bool: "a boolean", int: "a number", float: "a number"}
    return names.get(type(value), "null")


#: Header name -> field of TaskRecord and how its bytes are read; an empty header counts as absent.
_READERS: dict[str, tuple[str, Reader]] = {
    "ce_specversion": ("specversion", read_text),
    "ce_id": ("task_id", read_text),
    "ce_type": ("task_type", read_text),
    "ce_source": ("source", read_text),
    "ce_time": ("submitted_at", read_instant),
    "content-type": ("content_type", read_text),
    "task-attempt": ("attempt", whole_number(1, MAX_ATTEMPT)),
    "task-delivery": ("delivery", whole_number(1, MAX_ATTEMPT)),
    "task-notbefore": ("not_before", read_instant),
    "task-expires": ("expires", read_instant),
    "task-route": ("route", read_text),
    "task-root": ("root", read_text),
    "task-parent": ("parent", read_text),
    "task-group": ("group", read_text),
    "task-submitter": ("submitter", whole_number(0, 2**63 - 1)),
    "task-key": ("order_key", read_text),
    "task-redrive": ("redrive", whole_number(0, MAX_ATTEMPT)),
    "task-handover": ("handover", whole_number(0, MAX_ATTEMPT)),
    "task-unknown": ("unknown", whole_number(0, MAX_ATTEMPT)),
    "task-left": ("left", read_text),
    "task-sequenced": ("sequenced", whole_number(0, 10**9)),
    "task-failure": ("failure", _failure),
    "task-handback": ("handed_back", _handed_back),
    "task-claim-check": ("reference", read_reference),
    "traceparent": ("traceparent", read_traceparent),
    # It was checked by who read the record, and fits no other one.
    SIGNATURE: ("signature", lambda name, raw: raw),
    REFUSAL: ("refusal", _unauthenticated),
}
#: Written again with our own values.
_IGNORED = ("specversion", "content_type", "signature")
