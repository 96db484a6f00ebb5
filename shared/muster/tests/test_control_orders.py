"""Which tasks an order of the control topic takes back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from muster.contracts.control import Revocation, RevocationRule, decode_order, enqueued_at, parse_revocation_key
from muster.contracts.envelope import Failure, TaskRecord
from muster.contracts.events import encode_json
from muster.contracts.states import TaskState

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
BEFORE, AFTER = NOON - timedelta(seconds=1), NOON + timedelta(seconds=1)


def task(**changes: Any) -> TaskRecord:
    return TaskRecord(task_id="t1", task_type="noop", body=b"{}", submitter=7, **changes)


def rule(**changes: Any) -> RevocationRule:
    return RevocationRule(rule_id="r1", at=NOON, **changes)


@pytest.mark.parametrize("order", [Revocation(task_id="t1", at=NOON, redrive=2), rule(task_type="noop", submitter=7)])
def test_an_order_is_read_as_it_was_written(order: Revocation | RevocationRule) -> None:
    assert decode_order(encode_json(order)) == order


def test_an_order_of_a_kind_to_come_is_passed_over_and_one_without_kind_is_a_revocation() -> None:
    assert decode_order(b'{"kind":"unheard-of","at":"later"}') is None
    assert decode_order(b'{"task_id":"t1","at":"2026-11-23T12:00:00Z"}') == Revocation(task_id="t1", at=NOON)
    with pytest.raises(msgspec.MsgspecError):
        decode_order(b'{"kind":"revocation-rule"}')


def test_a_revocation_takes_back_its_own_round_and_the_key_tells_them_apart() -> None:
    order = Revocation(task_id="t1", at=NOON, redrive=1)

    assert [order.covers(task(redrive=number), enqueued=AFTER) for number in range(3)] == [False, True, False]
    assert parse_revocation_key(order.key.decode()) == ("t1", 1)
    assert Revocation(task_id="t1", at=NOON).key == b"t1"
    assert not order.covers(msgspec.structs.replace(task(), task_id="t2"), enqueued=BEFORE)


@pytest.mark.parametrize(
    ("said", "covered"),
    [
        ({}, True),
        ({"task_type": "noop"}, True),
        ({"task_type": "other"}, False),
        ({"submitter": 7}, True),
        ({"submitter": 8}, False),
        ({"task_type": "noop", "submitter": 8}, False),
        ({"state": TaskState.PENDING}, True),
        ({"state": TaskState.RETRY}, False),
        ({"state": TaskState.STARTED}, False),
    ],
)
def test_a_rule_takes_back_what_fits_and_was_there(said: dict[str, Any], covered: bool) -> None:
    assert rule(**said).covers(task(), enqueued=BEFORE) is covered
    assert not rule(**said).covers(task(), enqueued=AFTER), "enqueued after the rule"


def test_the_state_of_a_rule_is_the_one_at_its_instant() -> None:
    failed = Failure("error", "Boom", "it broke", failed_at=BEFORE)
    waiting = task(attempt=2, failure=failed)
    later = task(attempt=2, failure=msgspec.structs.replace(failed, failed_at=AFTER))
    started, retry, pending = (rule(state=state) for state in (TaskState.STARTED, TaskState.RETRY, TaskState.PENDING))

    assert retry.covers(waiting, enqueued=BEFORE)
    assert not retry.covers(later, enqueued=BEFORE), "it ran, or waited for its first attempt, at that instant"
    assert started.covers(task(), enqueued=BEFORE, started=BEFORE)
    assert not started.covers(task(), enqueued=BEFORE, started=AFTER)
    assert pending.covers(task(), enqueued=BEFORE, started=AFTER), "it waited then, and has begun since"
    assert not pending.covers(task(), enqueued=BEFORE, started=BEFORE)


def test_a_round_began_when_its_record_tells_and_never_earlier() -> None:
    stamp = int(AFTER.timestamp() * 1000)

    assert enqueued_at(task(submitted_at=BEFORE), stamp) == BEFORE
    assert enqueued_at(task(), stamp) == AFTER
    assert enqueued_at(task(submitted_at=BEFORE, redrive=1), stamp) == AFTER, "the submission was an earlier round's"
