"""Reads Kafka records as facts and hands them to the fold. Pure.

A record that cannot be read is the caller's to count.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

import msgspec
from muster.contracts.catalog import decode_description
from muster.contracts.control import RULE_PREFIX, Revocation, RevocationRule, decode_order, parse_revocation_key
from muster.contracts.dead_letter import nameless_id, original_headers, parse_provenance
from muster.contracts.envelope import TaskRecord, parse_task
from muster.contracts.errors import ContractError, InvalidRecord
from muster.contracts.events import (
    Abandoned,
    Progressed,
    Started,
    Succeeded,
    decode_event,
    decode_heartbeat,
)
from muster.contracts.pauses import decode_pause, paused_type
from muster.contracts.signature import REFUSAL
from muster.contracts.states import FailureKind
from muster.contracts.topics import Topics
from muster.ports import Position, Record

from tracker_service.projection.fold import Fold, LaneName
from tracker_service.projection.rows import CatalogRow, PauseRow, RevocationRow, RuleRow, WorkerRow
from tracker_service.projection.storable import (
    MAX_INT32,
    MAX_INT64,
    check_claim,
    check_event,
    check_failure,
    check_instant,
    check_name,
    check_numbers,
    check_pointer,
    clean,
    storable,
    text,
    timestamp,
    within,
)
from tracker_service.turns.seat import came_in, was_called

#: What a record that cannot be read raises.
UNREADABLE = (msgspec.MsgspecError, ContractError, ValueError, OverflowError, RecursionError)

_MAX_LISTED = 100

T = TypeVar("T")


class Reader:
    """Knows which topic says what."""

    def __init__(self, topics: Topics) -> None:
        self._lanes = {name: _lane_of(topics, name) for name in topics.all_lanes()}
        self._read: dict[str, Callable[[Record, Fold], None]] = dict.fromkeys(self._lanes, self._waiting)
        self._read |= {
            topics.events: self._event,
            topics.retry: self._retry,
            topics.dead_letter: self._dead_letter,
            topics.keyed: self._keyed,
            topics.control: _control,
            topics.catalog: _description,
            topics.workers: _beat,
        }

    @property
    def topics(self) -> frozenset[str]:
        """Every topic that is folded."""
        return frozenset(self._read)

    def read(self, record: Record, fold: Fold) -> None:
        """Fold one record.

        Raises:
            UNREADABLE: it is none of ours, or broken; the fold is as it was.
        """
        self._read[record.topic](record, fold)

    def _waiting(self, record: Record, fold: Fold) -> None:
        at = timestamp(record)
        try:
            task = parse_task(record.headers, record.value)
        except InvalidRecord:
            # Its dead letter is on the way under the same id; until then it waits like any other.
            task = _nameless(record)
        self._wait(task, self._lanes[record.topic], at, fold)

    def _retry(self, record: Record, fold: Fold) -> None:
        task = parse_task(record.headers, record.value)
        self._wait(task, self._lanes.get(task.route or ""), timestamp(record), fold)

    def _wait(self, task: TaskRecord, lane: LaneName | None, at: datetime, fold: Fold) -> None:
        fold.waiting(storable(task), lane, at)
        if task.sequenced:
            fold.seated(was_called(task, at))

    def _keyed(self, record: Record, fold: Fold) -> None:
        at = timestamp(record)
        try:
            task = parse_task(record.headers, record.value)
        except InvalidRecord:
            # Whoever calls it finds out, and makes a dead letter of it.
            task = _nameless(record)
        fold.waiting(storable(task), self._lanes.get(task.route or ""), at)
        fold.seated(came_in(task, record, at))

    def _event(self, record: Record, fold: Fold) -> None:
        event = decode_event(record.value or b"")
        check_event(event)
        if isinstance(event, Started):
            check_claim(event)
            fold.started(event, self._lanes.get(event.topic), record.offset)
        elif isinstance(event, Succeeded):
            check_instant(event.started_at)
            fold.succeeded(event, text(bytes(event.result)))
        elif isinstance(event, Progressed):
            fold.progressed(event)
        elif isinstance(event, Abandoned):
            check_claim(event)
            fold.abandoned(event, record.offset)
        else:
            if event.topic is not None:
                check_pointer(event.topic, event.partition, event.offset)
            if event.due is not None:
                check_instant(event.due)
            fold.revoked(event)

    def _dead_letter(self, record: Record, fold: Fold) -> None:
        why = parse_provenance(record.headers)
        check_numbers(why.redrive, why.attempt, why.delivery)
        check_instant(why.failed_at)
        check_failure(why.failure)
        named = msgspec.structs.replace(
            why,
            task_id=clean(why.task_id)[:200] or nameless_id(why.topic, why.partition, why.offset),
            task_type=clean(why.task_type)[:200],
        )
        try:
            task = storable(parse_task(original_headers(record.headers), record.value))
        except UNREADABLE:
            task = None
        if why.failure.kind == FailureKind.UNAUTHENTICATED:
            task = None  # who submitted it, and what else it says of itself, is not believed
        letter = Position(record.topic, record.partition, record.offset)
        fold.failed(named, task, self._lanes.get(why.topic), letter)


def _lane_of(topics: Topics, name: str) -> LaneName:
    return LaneName(topics.service_of_lane(name) or "", name.rpartition(".")[2])


def _nameless(record: Record) -> TaskRecord:
    """A record that is no task, under the id its dead letter will have."""
    known = dict(record.headers)
    # What nobody vouches for may claim the id of another task.
    task_id = "" if REFUSAL in known else known.get("ce_id", b"").decode(errors="replace")[:200]
    return TaskRecord(
        task_id=clean(task_id) or nameless_id(record.topic, record.partition, record.offset),
        task_type=clean(known.get("ce_type", b"").decode(errors="replace"))[:200] or "unknown",
        body=record.value or b"",
    )


def _control(record: Record, fold: Fold) -> None:
    task_type = paused_type(record.key)
    if task_type is None:
        _order(record, fold)
    elif record.value is None:
        fold.paused(PauseRow(clean(task_type), record.offset, None, None))
    else:
        pause = decode_pause(record.value)
        check_instant(pause.at)
        fold.paused(PauseRow(clean(task_type), record.offset, pause.at, _user(pause.by)))


def _order(record: Record, fold: Fold) -> None:
    """A tombstone withdraws whatever stood under its key; kinds of a newer version are passed over."""
    if record.value is None:
        key = clean((record.key or b"").decode())
        if key.startswith(RULE_PREFIX):
            fold.rule(RuleRow(key.removeprefix(RULE_PREFIX), record.offset, None))
        else:
            task_id, redrive = parse_revocation_key(key)
            check_numbers(redrive, 1, 1)
            fold.revocation(RevocationRow(task_id, record.offset, None, False, None, "withdrawn", redrive))
        return
    match decode_order(record.value):
        case Revocation() as order:
            fold.revocation(_revocation_row(order, record.offset))
        case RevocationRule() as rule:
            fold.rule(_rule_row(rule, record.offset))


def _revocation_row(order: Revocation, seq: int) -> RevocationRow:
    check_instant(order.at)
    check_numbers(order.redrive, 1, 1)
    return RevocationRow(
        clean(order.task_id), seq, order.at, order.terminate, _user(order.by), clean(order.reason)[:200],
        order.redrive,
    )  # fmt: skip


def _rule_row(rule: RevocationRule, seq: int) -> RuleRow:
    check_instant(rule.at)
    for name in (rule.rule_id, rule.task_type or ""):
        check_name(name)
    return RuleRow(
        rule.rule_id, seq, rule.at, rule.task_type, _user(rule.submitter), rule.state.value if rule.state else None,
        rule.terminate, _user(rule.by), clean(rule.reason)[:200],
    )  # fmt: skip


def _user(number: int | None) -> int | None:
    return None if number is None else within(number, MAX_INT64)


def _description(record: Record, fold: Fold) -> None:
    if record.value is None:
        fold.described(CatalogRow(clean((record.key or b"").decode()), record.offset, None))
        return
    description = decode_description(record.value)
    fold.described(CatalogRow(clean(description.task_type), record.offset, text(record.value)))


def _beat(record: Record, fold: Fold) -> None:
    beat = decode_heartbeat(record.value or b"")
    check_instant(beat.at)
    if beat.started_at is not None:
        check_instant(beat.started_at)
    fold.beat(
        WorkerRow(
            clean(beat.worker), clean(beat.service), record.offset, beat.at, clean(beat.host), clean(beat.version),
            within(beat.slots, MAX_INT32), within(beat.running, MAX_INT32), beat.started_at,
            within(beat.rss_bytes, MAX_INT64), beat.leaving, [clean(task) for task in beat.tasks[:_MAX_LISTED]],
            [f"{clean(topic)}:{partition}" for topic, partition in beat.partitions],
        )
    )  # fmt: skip
