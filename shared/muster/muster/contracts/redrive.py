"""From a dead letter to the task record that runs it again: same id, next round, or a sentence why not. Pure.

Who reads the letters, chooses among them and writes the records is elsewhere (client/letters.py, the tracker's API).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from muster.contracts.dead_letter import Provenance, original_headers, parse_provenance
from muster.contracts.envelope import TaskRecord, parse_task
from muster.contracts.errors import UNREADABLE, ContractError, InvalidRecord
from muster.contracts.states import FailureKind
from muster.contracts.topics import Topics

#: The loop guard: what failed this often after being redriven is not a matter of luck.
MAX_REDRIVES = 3


class RedriveRefused(ContractError):
    """This dead letter may not, or cannot, be run again as asked; the message says what to do instead."""


class Edit(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator changes: named parameters, put over the original ones, and the task type."""

    parameters: Mapping[str, Any] | None = None
    task_type: str | None = None


class Redriven(NamedTuple):
    """The record to write, and where to: its lane, or with an order key the end of its queue in `tasks.keyed`."""

    topic: str
    task: TaskRecord


_UNCHANGED = Edit()


def read_provenance(headers: Iterable[tuple[str, bytes]]) -> Provenance:
    """Why a dead letter failed.

    Raises:
        RedriveRefused: no muster worker wrote it.
    """
    try:
        return parse_provenance(headers)
    except UNREADABLE as error:
        raise RedriveRefused(f"it is no dead letter of ours: {error}") from error


def redrive(
    headers: Sequence[tuple[str, bytes]],
    value: bytes | None,
    topics: Topics,
    *,
    now: datetime,
    edit: Edit = _UNCHANGED,
    max_redrives: int = MAX_REDRIVES,
    vouch: bool = False,
) -> Redriven:
    """The next round of the task in this dead letter: attempt 1, delivery 1, for the lane it was first put into.

    What is written is signed, so a record that nobody vouched for needs somebody who does: `vouch`. It runs under the
    id that its letter has, never under the one it claims.

    Raises:
        RedriveRefused: nobody vouches for it, the loop guard, an expiry that has passed, or no worker could read it.
    """
    why = read_provenance(headers)
    if why.failure.kind == FailureKind.UNAUTHENTICATED and not vouch:
        raise RedriveRefused("nobody vouched for its record: look at it, then run it with --vouch (API: vouch)")
    original = _readable_task(original_headers(headers), value, why, edit)
    rounds = max(why.redrive, original.redrive)
    if rounds >= max_redrives:
        raise RedriveRefused(
            f"it failed after {rounds} redrives and {max_redrives} are allowed: find out why, then raise the limit"
        )
    if original.expires is not None and original.expires <= now:
        raise RedriveRefused(f"it was not to start after {original.expires:%Y-%m-%d %H:%M:%S} UTC: submit it anew")
    if value is None and not why.timestamp_ms and edit.parameters is None:
        raise RedriveRefused("its record had left Kafka before it failed: give its parameters, or submit it anew")
    task = msgspec.structs.replace(
        original, body=_body(original, edit), redrive=rounds + 1,
        attempt=1, delivery=1, unknown=0, handover=0, failure=None, handed_back=None, not_before=None, route=None,
        sequenced=0,
    )  # fmt: skip
    lane = _lane(why, original, topics)
    if task.order_key is not None:
        return Redriven(topics.keyed, _checked(task.routed_to(lane)))
    return Redriven(lane, _checked(task))


def _readable_task(headers: list[tuple[str, bytes]], value: bytes | None, why: Provenance, edit: Edit) -> TaskRecord:
    """The original as a task; where it never was one, what is readable of it under the operator's words."""
    named = [pair for pair in headers if pair[0] not in ("ce_id", "ce_type")]
    task_type = edit.task_type or dict(headers).get("ce_type", b"").decode(errors="replace")
    # The provenance names the task also where its record did not.
    ours = [("ce_id", why.task_id.encode(errors="replace")), ("ce_type", task_type.encode(errors="replace"))]
    try:
        parse_task(headers, None)
        return msgspec.structs.replace(parse_task([*ours, *named], None), body=value or b"")
    except InvalidRecord as error:
        if not task_type:
            raise RedriveRefused("its record names no task type: give one") from error
        if edit == _UNCHANGED:
            raise RedriveRefused(f"its record is no task ({error}): give its type or parameters") from error
    readable = [pair for pair in named if _is_readable(pair)]
    try:
        return msgspec.structs.replace(parse_task([*ours, *readable], None), body=value or b"")
    except InvalidRecord as error:
        raise RedriveRefused(f"no worker would take it: {error}") from error


def _is_readable(pair: tuple[str, bytes]) -> bool:
    try:
        parse_task([("ce_id", b"id"), ("ce_type", b"t"), pair], None)
    except InvalidRecord:
        return False
    return True


def _body(original: TaskRecord, edit: Edit) -> bytes:
    """The original bytes where nothing is edited: what a worker signed or compared stays what it was."""
    try:
        parameters = original.parameters()
    except InvalidRecord as error:
        if edit.parameters is None:
            raise RedriveRefused(f"{error}: give its parameters") from error
        parameters = {}
    if edit.parameters is None:
        return original.body
    return msgspec.json.encode(parameters | dict(edit.parameters))


def _lane(why: Provenance, original: TaskRecord, topics: Topics) -> str:
    lanes = topics.all_lanes()
    for topic in (why.topic, original.route):
        if topic in lanes:
            return topic
    raise RedriveRefused(f"it lay in {why.topic[:200]}, which is no lane, and its record names none: submit it anew")


def _checked(task: TaskRecord) -> TaskRecord:
    """Nothing is written that no worker could read."""
    try:
        parse_task(task.headers(), task.body)
    except InvalidRecord as error:
        raise RedriveRefused(f"no worker would take it: {error}") from error
    return task
