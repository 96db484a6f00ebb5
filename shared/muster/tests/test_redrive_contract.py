"""Sentences about running a dead letter again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from muster.contracts.dead_letter import dead_letter_headers, provenance_of, task_of_unreadable
from muster.contracts.envelope import Failure, TaskRecord, parse_task
from muster.contracts.redrive import Edit, Redriven, RedriveRefused, redrive
from muster.contracts.topics import MAX_BODY_BYTES, Topics

TOPICS = Topics("unit.")
LANE = TOPICS.lane("media", "high")
NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
FAILURE = Failure("error", "Boom", "it broke", "w1", NOW, NOW, "f00d")
TASK = TaskRecord(task_id="t1", task_type="noop", body=b'{"n": 1}', submitter=7)
Letter = tuple[list[tuple[str, bytes]], bytes | None]

_NAMES = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=40)
_COUNTS = st.integers(1, 9)
_TASKS = st.builds(
    TaskRecord,
    task_id=_NAMES,
    task_type=st.from_regex(r"[a-z_][a-z0-9_]{0,30}", fullmatch=True),
    body=st.dictionaries(_NAMES, st.integers(), max_size=3).map(msgspec.json.encode),
    attempt=_COUNTS,
    delivery=_COUNTS,
    unknown=st.integers(0, 60),
    handover=st.integers(0, 3),
    redrive=st.integers(0, 5),
    not_before=st.none() | st.just(NOW),
    route=st.none() | st.just(LANE),
    submitter=st.none() | st.integers(0, 2**31),
    order_key=st.none() | _NAMES,
    sequenced=st.integers(0, 9),
    group=st.none() | _NAMES,
    submitted_at=st.none() | st.just(NOW),
    traceparent=st.none() | st.integers(1, 2**128 - 1).map("00-{:032x}-00f067aa0ba902b7-01".format),
    failure=st.none() | st.just(FAILURE),
    extra=st.lists(st.tuples(_NAMES.map("x-{}".format), st.binary(min_size=1, max_size=20)), max_size=3).map(tuple),
)


def letter(task: TaskRecord = TASK, *, topic: str = LANE, stamp: int = 1, **changes: Any) -> Letter:
    headers = task.headers()
    why = provenance_of(task, FAILURE, topic=topic, partition=0, offset=5, timestamp_ms=stamp, now=NOW)
    return dead_letter_headers(headers, msgspec.structs.replace(why, **changes)), task.body


def stray(*headers: tuple[str, bytes], value: bytes | None = b"{}") -> Letter:
    """The letter of a record that was no task."""
    task = task_of_unreadable(headers, topic=LANE, partition=2, offset=9)
    why = provenance_of(task, FAILURE, topic=LANE, partition=2, offset=9, timestamp_ms=1, now=NOW)
    return dead_letter_headers(headers, why), value


def again(found: Letter, edit: Edit | None = None, **options: Any) -> Redriven:
    return redrive(*found, TOPICS, now=NOW, edit=edit or Edit(), **options)


@given(_TASKS)
def test_the_next_round_is_the_same_task_without_a_past(task: TaskRecord) -> None:
    topic, record = again(letter(task), max_redrives=9)

    # One with an order key takes the last place of its queue.
    where = (LANE, None) if task.order_key is None else (TOPICS.keyed, LANE)
    fresh = {"attempt": 1, "delivery": 1, "unknown": 0, "handover": 0, "sequenced": 0, "failure": None}
    expected = msgspec.structs.replace(task, redrive=task.redrive + 1, not_before=None, route=where[1], **fresh)
    assert (topic, record) == (where[0], expected)
    assert parse_task(record.headers(), record.body) == record


@given(
    st.lists(st.tuples(st.sampled_from(["ce_id", "ce_type", "task-attempt", "task-key", "x"]), st.binary(max_size=9))),
    st.none() | st.binary(max_size=20),
    st.builds(Edit, parameters=st.none() | st.just({"n": 2}), task_type=st.none() | st.text(max_size=5)),
)
def test_whatever_died_is_readable_when_it_comes_back_or_refused(
    headers: list[tuple[str, bytes]], value: bytes | None, edit: Edit
) -> None:
    try:
        record = again(stray(*headers, value=value), edit).task
    except RedriveRefused:
        return
    assert parse_task(record.headers(), record.body) == record
    assert isinstance(record.parameters(), dict)


def test_edited_parameters_lie_over_the_original_ones() -> None:
    task = msgspec.structs.replace(TASK, body=b'{"n":1,"kept":"yes"}')

    edited = again(letter(task), Edit(parameters={"n": 2}, task_type="other")).task

    assert (edited.task_type, edited.parameters()) == ("other", {"n": 2, "kept": "yes"})


def test_a_letter_out_of_a_retry_topic_goes_to_the_lane_its_record_names() -> None:
    routed = msgspec.structs.replace(TASK, route=LANE)

    assert again(letter(routed, topic=TOPICS.retry)).topic == LANE
    assert again(letter(routed, topic=TOPICS.delay(4))).topic == LANE
    with pytest.raises(RedriveRefused, match="no lane"):
        again(letter(topic=TOPICS.retry))


@pytest.mark.parametrize("topic", ["tasks.media.high", "unit.tasks.events", "unit.tasks.nobody.high", "elsewhere"])
def test_a_forged_provenance_names_no_other_topic(topic: str) -> None:
    with pytest.raises(RedriveRefused, match="no lane"):
        again(letter(topic=topic))


def test_the_loop_guard_counts_what_either_side_knows() -> None:
    third = msgspec.structs.replace(TASK, redrive=3)

    for found in (letter(third), letter(redrive=3), letter(third, redrive=0)):
        with pytest.raises(RedriveRefused, match="failed after 3 redrives and 3 are allowed"):
            again(found)
    assert again(letter(third), max_redrives=4).task.redrive == 4


def test_an_expiry_that_has_passed_is_not_overruled() -> None:
    late, open_ = (msgspec.structs.replace(TASK, expires=NOW + timedelta(seconds=s)) for s in (-1, 1))

    with pytest.raises(RedriveRefused, match="not to start after 2026-11-23 07:59:59 UTC"):
        again(letter(late))
    assert again(letter(open_)).task.expires == open_.expires


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (stray(("ce_id", b"1")), "names no task type: give one"),
        (stray(("ce_id", b"1"), ("ce_type", b"noop"), value=b"nope"), "not JSON.*: give its parameters"),
        (stray(("ce_id", b"1"), ("ce_type", b"noop"), value=b"[1]"), "not an array: give its parameters"),
        (stray(("ce_type", b"noop")), "is no task .*ce_id.*: give its type or parameters"),
        (stray(("ce_id", b"1"), ("ce_type", b"noop"), ("task-attempt", b"x")), "is no task .*task-attempt"),
        (stray(("ce_id", b"1"), ("ce_type", b"\xff")), "is no task .*UTF-8"),
        (([("ce_id", b"1")], b"{}"), "no dead letter of ours: header dl-provenance is missing"),
        (([("dl-provenance", b"[" * 100_000)], b"{}"), "no dead letter of ours"),
        ((letter(stamp=0)[0], None), "had left Kafka"),
        (letter(msgspec.structs.replace(TASK, body=b" " * MAX_BODY_BYTES + b"{}")), "no worker would take it"),
    ],
)
def test_what_cannot_run_again_is_refused_with_one_sentence(found: Letter, said: str) -> None:
    with pytest.raises(RedriveRefused, match=said):
        again(found)


def test_a_record_that_was_no_task_becomes_one_under_the_id_of_its_letter() -> None:
    nameless = stray(("x-own", b"kept"), ("task-attempt", b"x"), ("task-submitter", b"7"), value=b"nope")

    record = again(nameless, Edit(parameters={"n": 1}, task_type="noop")).task

    assert (record.task_type, record.body, record.attempt, record.submitter) == ("noop", b'{"n":1}', 1, 7)
    assert record.extra == (("x-own", b"kept"),)
    assert record.redrive == 1
    assert record.task_id == task_of_unreadable((), topic=LANE, partition=2, offset=9).task_id


def test_an_id_that_no_worker_takes_stays_refused() -> None:
    with pytest.raises(RedriveRefused, match="no worker would take it: header ce_id"):
        again(stray(("ce_id", b"a b"), ("ce_type", b"noop")), Edit(parameters={}))
