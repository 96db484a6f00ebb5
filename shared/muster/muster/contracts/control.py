"""The records of the compacted `tasks.control`: which tasks people have taken back. Who obeys them is elsewhere.

An order without `kind` is a revocation by id. A reader passes over kinds that it does not know, so that a newer tracker
may write some.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec

from muster.contracts.envelope import TaskRecord
from muster.contracts.states import TaskState, waiting_state


class Revocation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One round of one task is taken back; the key names both, so that withdrawing one leaves the next in force."""

    task_id: str
    at: datetime
    #: Also stop it when it is running.
    terminate: bool = False
    #: users.id of who asked for it.
    by: int | None = None
    reason: str = "revoked"
    #: The round that was taken back: what is redriven afterwards runs.
    redrive: int = 0

    @property
    def key(self) -> bytes:
        return revocation_key(self.task_id, self.redrive)

    def covers(self, task: TaskRecord, *, enqueued: datetime, started: datetime | None = None) -> bool:
        """Whether this task is meant; instants do not matter where an id is named."""
        return (task.task_id, task.redrive) == (self.task_id, self.redrive)


class RevocationRule(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind", tag="revocation-rule"
):
    """Every open task that fits and was enqueued before `at` is taken back; key = `rule:` and its id.

    It holds until the tracker has ordered each of those tasks back by id; that takes a second or two.
    """

    rule_id: str
    at: datetime
    task_type: str | None = None
    submitter: int | None = None
    #: The state a task had at `at`.
    state: TaskState | None = None
    terminate: bool = False
    by: int | None = None
    reason: str = "revoked"

    @property
    def key(self) -> bytes:
        return f"{RULE_PREFIX}{self.rule_id}".encode()

    def covers(self, task: TaskRecord, *, enqueued: datetime, started: datetime | None = None) -> bool:
        """Whether this task is meant; `started`: when its current run began, None while it waits."""
        fits = self.task_type in (None, task.task_type) and self.submitter in (None, task.submitter)
        return fits and enqueued <= self.at and self._state_fits(task, started)

    def _state_fits(self, task: TaskRecord, started: datetime | None) -> bool:
        if self.state is None:
            return True
        if started is not None and started <= self.at:
            return self.state is TaskState.STARTED
        failed_at = task.failure.failed_at if task.failure else None
        return waiting_state(task.attempt) is self.state and (failed_at is None or failed_at <= self.at)


Order = Revocation | RevocationRule
RULE_PREFIX = "rule:"


def revocation_key(task_id: str, redrive: int) -> bytes:
    """The task id, and behind a space, which no id holds, the round where it is not the first."""
    return f"{task_id} {redrive}".encode() if redrive else task_id.encode()


def parse_revocation_key(key: str) -> tuple[str, int]:
    """Task id and round.

    Raises:
        ValueError: what stands behind the space is no number.
    """
    task_id, _, redrive = key.partition(" ")
    return task_id, int(redrive or 0)


class _Kind(msgspec.Struct, frozen=True):
    kind: str = "revocation"


_decode_kind = msgspec.json.Decoder(_Kind).decode
_DECODERS: dict[str, Callable[[bytes], Any]] = {
    "revocation": msgspec.json.Decoder(Revocation).decode,
    "revocation-rule": msgspec.json.Decoder(RevocationRule).decode,
}


def decode_order(value: bytes) -> Order | None:
    """Read a record of `tasks.control`; None for a kind that this version does not know.

    Raises:
        msgspec.MsgspecError: it is no order.
    """
    decode = _DECODERS.get(_decode_kind(value).kind)
    order: Order | None = decode(value) if decode else None
    return order


def new_rule_id() -> str:
    return uuid.uuid4().hex


def enqueued_at(task: TaskRecord, timestamp_ms: int) -> datetime:
    """When this round of the task was put in, as far as its record tells; never earlier than it was.

    A redriven task keeps its submission time; the time of its record is then the best that is known.
    """
    if task.redrive == 0 and task.submitted_at is not None:
        return task.submitted_at
    return datetime.fromtimestamp(timestamp_ms / 1000, UTC)
