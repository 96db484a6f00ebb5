"""Reads Kafka records as facts and hands them to the fold. Pure.

A record that cannot be read is the caller's to count.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

import msgspec
from muster.contracts.catalog import decode_description
from muster.contracts.control import RULE_PREFIX, Revocation, RevocationRule, decode_order, parse_revocation_key
from muster.contracts.dead_letter import nameless_id, original_headers, parse_provenance
from muster.contracts.envelope import MAX_ATTEMPT, Failure, TaskRecord, parse_task
from muster.contracts.errors import ContractError, InvalidRecord
from muster.contracts.events import (
    Abandoned,
    AnyEvent,
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
from tracker_service.turns.seat import came_in, was_called

#: What a record that cannot be read raises.
UNREADABLE = (msgspec.MsgspecError, ContractError, ValueError, OverflowError, RecursionError)

_MAX_INT32, _MAX_INT64 = 2**31 - 1, 2**63 - 1
_FIRST_YEAR, _LAST_YEAR = 1970, 9999
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
        at = _timestamp(record)
        try:
            task = parse_task(record.headers, record.value)
        except InvalidRecord:
            # Its dead letter is on the way under the same id; until then it waits like any other.
            task = _nameless(record)
        self._wait(task, self._lanes[record.topic], at, fold)

    def _retry(self, record: Record, fold: Fold) -> None:
        task = parse_task(record.headers, record.value)
        self._wait(task, self._lanes.get(task.route or ""), _timestamp(record), fold)

    def _wait(self, task: TaskRecord, lane: LaneName | None, at: datetime, fold: Fold) -> None:
        fold.waiting(_storable(task), lane, at)
        if task.sequenced:
            fold.seated(was_called(task, at))

    def _keyed(self, record: Record, fold: Fold) -> None:
        at = _timestamp(record)
        try:
            task = parse_task(record.headers, record.value)
        except InvalidRecord:
            # Whoever calls it finds out, and makes a dead letter of it.
            task = _nameless(record)
        fold.waiting(_storable(task), self._lanes.get(task.route or ""), at)
        fold.seated(came_in(task, record, at))

    def _event(self, record: Record, fold: Fold) -> None:
        event = decode_event(record.value or b"")
        _check_event(event)
        if isinstance(event, Started):
            _check_pointer(event.topic, event.partition, event.offset)
            fold.started(event, self._lanes.get(event.topic), record.offset)
        elif isinstance(event, Succeeded):
            _check_instant(event.started_at)
            fold.succeeded(event, _text(bytes(event.result)))
        elif isinstance(event, Progressed):
            fold.progressed(event)
        elif isinstance(event, Abandoned):
            _check_pointer(event.topic, event.partition, event.offset)
            fold.abandoned(event, record.offset)
        else:
            if event.topic is not None:
                _check_pointer(event.topic, event.partition, event.offset)
            if event.due is not None:
                _check_instant(event.due)
            fold.revoked(event)

    def _dead_letter(self, record: Record, fold: Fold) -> None:
        why = parse_provenance(record.headers)
        _check_numbers(why.redrive, why.attempt, why.delivery)
        _check_instant(why.failed_at)
        _check_failure(why.failure)
        clean = msgspec.structs.replace(
            why,
            task_id=_clean(why.task_id)[:200] or nameless_id(why.topic, why.partition, why.offset),
            task_type=_clean(why.task_type)[:200],
        )
        try:
            task = _storable(parse_task(original_headers(record.headers), record.value))
        except UNREADABLE:
            task = None
        if why.failure.kind == FailureKind.UNAUTHENTICATED:
            task = None  # who submitted it, and what else it says of itself, is not believed
        letter = Position(record.topic, record.partition, record.offset)
        fold.failed(clean, task, self._lanes.get(why.topic), letter)


def _lane_of(topics: Topics, name: str) -> LaneName:
    return LaneName(topics.service_of_lane(name) or "", name.rpartition(".")[2])


def _nameless(record: Record) -> TaskRecord:
    """A record that is no task, under the id its dead letter will have."""
    known = dict(record.headers)
    # What nobody vouches for may claim the id of another task.
    task_id = "" if REFUSAL in known else known.get("ce_id", b"").decode(errors="replace")[:200]
    return TaskRecord(
        task_id=_clean(task_id) or nameless_id(record.topic, record.partition, record.offset),
        task_type=_clean(known.get("ce_type", b"").decode(errors="replace"))[:200] or "unknown",
        body=record.value or b"",
    )


def _control(record: Record, fold: Fold) -> None:
    task_type = paused_type(record.key)
    if task_type is None:
        _order(record, fold)
    elif record.value is None:
        fold.paused(PauseRow(_clean(task_type), record.offset, None, None))
    else:
        pause = decode_pause(record.value)
        _check_instant(pause.at)
        fold.paused(PauseRow(_clean(task_type), record.offset, pause.at, _user(pause.by)))


def _order(record: Record, fold: Fold) -> None:
    """A tombstone withdraws whatever stood under its key; kinds of a newer version are passed over."""
    if record.value is None:
        key = _clean((record.key or b"").decode())
        if key.startswith(RULE_PREFIX):
            fold.rule(RuleRow(key.removeprefix(RULE_PREFIX), record.offset, None))
        else:
            task_id, redrive = parse_revocation_key(key)
            _check_numbers(redrive, 1, 1)
            fold.revocation(RevocationRow(task_id, record.offset, None, False, None, "withdrawn", redrive))
        return
    match decode_order(record.value):
        case Revocation() as order:
            fold.revocation(_revocation_row(order, record.offset))
        case RevocationRule() as rule:
            fold.rule(_rule_row(rule, record.offset))


def _revocation_row(order: Revocation, seq: int) -> RevocationRow:
    _check_instant(order.at)
    _check_numbers(order.redrive, 1, 1)
    return RevocationRow(
        _clean(order.task_id), seq, order.at, order.terminate, _user(order.by), _clean(order.reason)[:200],
        order.redrive,
    )  # fmt: skip


def _rule_row(rule: RevocationRule, seq: int) -> RuleRow:
    _check_instant(rule.at)
    for name in (rule.rule_id, rule.task_type or ""):
        _check_name(name)
    return RuleRow(
        rule.rule_id, seq, rule.at, rule.task_type, _user(rule.submitter), rule.state.value if rule.state else None,
        rule.terminate, _user(rule.by), _clean(rule.reason)[:200],
    )  # fmt: skip


def _user(number: int | None) -> int | None:
    return None if number is None else _within(number, _MAX_INT64)


def _description(record: Record, fold: Fold) -> None:
    if record.value is None:
        fold.described(CatalogRow(_clean((record.key or b"").decode()), record.offset, None))
        return
    description = decode_description(record.value)
    fold.described(CatalogRow(_clean(description.task_type), record.offset, _text(record.value)))


def _beat(record: Record, fold: Fold) -> None:
    beat = decode_heartbeat(record.value or b"")
    _check_instant(beat.at)
    if beat.started_at is not None:
        _check_instant(beat.started_at)
    fold.beat(
        WorkerRow(
            _clean(beat.worker), _clean(beat.service), record.offset, beat.at, _clean(beat.host), _clean(beat.version),
            _within(beat.slots, _MAX_INT32), _within(beat.running, _MAX_INT32), beat.started_at,
            _within(beat.rss_bytes, _MAX_INT64), beat.leaving, [_clean(task) for task in beat.tasks[:_MAX_LISTED]],
            [f"{_clean(topic)}:{partition}" for topic, partition in beat.partitions],
        )
    )  # fmt: skip


def _storable(task: TaskRecord) -> TaskRecord:
    """A task whose instants and failure PostgreSQL can hold."""
    for instant in (task.submitted_at, task.not_before, task.expires):
        if instant is not None:
            _check_instant(instant)
    if task.failure is not None:
        _check_failure(task.failure)
    if task.handed_back is not None:
        _check_name(task.handed_back.worker)
        _check_instant(task.handed_back.at)
    return task


def _check_failure(failure: Failure) -> None:
    _check_name(failure.worker)
    for instant in (failure.started_at, failure.failed_at):
        if instant is not None:
            _check_instant(instant)


def _check_event(event: AnyEvent) -> None:
    _check_numbers(event.redrive, event.attempt, event.delivery)
    _check_instant(event.at)
    _check_name(event.task_id)
    _check_name(event.task_type)
    _check_name(event.worker)


def _check_pointer(topic: str, partition: int, offset: int) -> None:
    _check_name(topic)
    _within(partition, _MAX_INT32)
    _within(offset, _MAX_INT64)


def _check_numbers(redrive: int, attempt: int, delivery: int) -> None:
    if not (0 <= redrive <= MAX_ATTEMPT and 0 < attempt <= MAX_ATTEMPT and 0 < delivery <= MAX_ATTEMPT):
        raise InvalidRecord(f"redrive {redrive}, attempt {attempt}, delivery {delivery}: at most {MAX_ATTEMPT} each")


def _check_instant(instant: datetime) -> None:
    if instant.tzinfo is None or not _FIRST_YEAR <= instant.year < _LAST_YEAR:
        raise InvalidRecord(f"an instant must name its offset and lie between 1970 and 9998; got {instant}")


def _check_name(name: str) -> None:
    if "\0" in name or len(name) > 1000:
        raise InvalidRecord("a name holds a NUL, or more than 1,000 characters")


def _within(number: int, highest: int) -> int:
    if not 0 <= number <= highest:
        raise InvalidRecord(f"the number {number} does not lie between 0 and {highest}")
    return number


def _timestamp(record: Record) -> datetime:
    return datetime.fromtimestamp(_within(record.timestamp_ms, 253_370_764_800_000) / 1000, UTC)


def _clean(text: str) -> str:
    """PostgreSQL's text holds no NUL."""
    return text.replace("\0", "")


def _text(json: bytes) -> str:
    return _clean(json.decode(errors="replace"))
