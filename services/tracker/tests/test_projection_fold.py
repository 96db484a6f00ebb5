"""What a task looks like after its records were folded, in any order."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from muster.contracts.dead_letter import nameless_id
from muster.contracts.events import encode_event
from muster.contracts.states import TaskState, rank
from muster.ports import Record
from tracker_service.projection.fold import Fold
from tracker_service.projection.preview import preview
from tracker_service.projection.rank import is_terminal, started_rank, terminal_rank, waiting_rank
from tracker_service.projection.reading import UNREADABLE, Reader
from tracker_service.projection.rows import HandBackRow, TaskRow
from tracker_service.testing.records import LANE, TOPICS, Story, at

READER = Reader(TOPICS)
COUNTS = st.integers(1, 10_000)


def fold(records: Iterable[Record]) -> Fold:
    folded = Fold()
    for record in records:
        READER.read(record, folded)
    return folded


def row(records: Iterable[Record], task_id: str = "t1") -> TaskRow:
    return fold(records).tasks[task_id]


def test_a_waiting_record_shows_the_task_before_anyone_runs_it() -> None:
    task = row([Story().lane()])

    assert (task.state, task.service, task.lane, task.submitter) == ("PENDING", "media", "default", 7)
    assert task.submitted_at == at(0)
    assert task.parameters == '{"number": 1}'


def test_the_story_of_a_retried_task() -> None:
    story = Story()
    until_retry = [story.lane(), story.started(1), story.retry(3, attempt=2)]
    end = [story.lane(63, attempt=2), story.started(64, attempt=2), story.succeeded(66, attempt=2)]

    waiting, ended = row(until_retry), fold([*until_retry, *end])

    assert (waiting.state, waiting.attempt, waiting.next_attempt_at) == ("RETRY", 2, at(63))
    assert (ended.tasks["t1"].state, ended.tasks["t1"].attempt) == ("SUCCESS", 2)
    assert [(a.attempt, a.worker, a.ended_at) for a in ended.attempts.values()] == [(1, "w1", at(3))]
    assert ended.open_claims() == []


def test_a_hand_back_burns_no_attempt_and_is_no_failure() -> None:
    story = Story()

    folded = fold([story.lane(), story.started(1), story.handed_back(2, delivery=2), story.lane(2.1, delivery=2)])

    task = folded.tasks["t1"]
    assert (task.state, task.attempt, task.delivery) == ("PENDING", 1, 2)
    assert folded.hand_backs == {HandBackRow("t1", 0, 1, 1, "w1", at(2))}
    assert folded.attempts == {}


def test_the_first_end_stays_within_a_round() -> None:
    story = Story()

    task = row([story.lane(), story.succeeded(5), story.dead(6), story.revoked(7)])

    assert (task.state, task.result) == ("SUCCESS", '{"ok":true}')


def test_a_redriven_task_leaves_its_failure() -> None:
    story = Story()

    task = row([story.lane(), story.dead(5), story.lane(9, redrive=1)])

    assert (task.state, task.redrive, task.detail, task.finished_at) == ("PENDING", 1, None, None)


def test_a_dead_letter_says_why_and_where_it_lies() -> None:
    story = Story()
    letter = story.dead(5)

    task = row([letter])

    detail = msgspec.json.decode(task.detail or "")
    assert (task.state, task.submitter, task.lane) == ("FAILURE", 7, "default")
    assert detail["failure"]["message"] == "no image"
    assert detail["dead_letter"] == [TOPICS.dead_letter, 0, letter.offset]


def test_an_abandoned_claim_stays_visible_until_its_worker_claims_again() -> None:
    story = Story()
    taken_back = [story.lane(), story.started(1), story.abandoned(2)]

    (claim,) = fold(taken_back).open_claims()
    (again,) = fold([*taken_back, story.started(3)]).open_claims()

    assert claim.abandoned
    assert not again.abandoned


def test_claims_of_other_workers_outlive_the_end() -> None:
    story = Story()

    folded = fold([story.lane(), story.started(1), story.started(2, worker="w2", offset=6), story.succeeded(3)])

    assert [claim.key.worker for claim in folded.open_claims()] == ["w2"]


@given(order=st.permutations(range(7)), repeats=st.lists(st.integers(0, 6), max_size=7))
def test_order_and_repetition_change_nothing(order: list[int], repeats: list[int]) -> None:
    story = Story()
    records = [
        story.lane(), story.started(1), story.progressed(2, 5), story.retry(3, attempt=2), story.lane(63, attempt=2),
        story.started(64, attempt=2, worker="w2"), story.succeeded(66, attempt=2, worker="w2"),
    ]  # fmt: skip

    straight = fold(records)
    mixed = fold(records[number] for number in [*order, *repeats])

    assert dataclasses.astuple(mixed.tasks["t1"]) == dataclasses.astuple(straight.tasks["t1"])
    assert mixed.open_claims() == straight.open_claims() == []
    assert (mixed.attempts, mixed.progress) == (straight.attempts, straight.progress)


@given(st.lists(st.tuples(st.integers(0, 9), st.sampled_from(TaskState), COUNTS, COUNTS), min_size=2))
def test_the_packed_rank_is_the_lattice_of_the_contract(facts: list[tuple[int, TaskState, int, int]]) -> None:
    def packed(redrive: int, state: TaskState, attempt: int, delivery: int) -> int:
        if state.terminal:
            return terminal_rank(redrive, state)
        return (started_rank if state is TaskState.STARTED else waiting_rank)(redrive, attempt, delivery)

    for one, other in itertools.pairwise(facts):
        ranks = [rank(state, attempt=a, delivery=d, redrive=r) for r, state, a, d in (one, other)]
        assert (ranks[0] > ranks[1]) == (packed(*one) > packed(*other))
        assert is_terminal(packed(*one)) == one[1].terminal


def test_a_record_without_an_id_waits_under_the_id_its_dead_letter_will_have() -> None:
    nameless = Record(LANE, 2, 9, 1_795_000_000_000, None, b"{}", (("ce_type", b"noop"),))

    assert fold([nameless]).tasks.keys() == {nameless_id(LANE, 2, 9)}


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"not json",
        b'{"event":"UNHEARD_OF"}',
        # No instant, no number of ours, a NUL that PostgreSQL cannot hold.
        encode_event(msgspec.json.decode(Story().started(1).value or b"") | {"at": "0001-01-01T00:00:00+23:59"}),
        encode_event(msgspec.json.decode(Story().started(1).value or b"") | {"at": "2026-11-23T08:00:00"}),
        encode_event(msgspec.json.decode(Story().started(1).value or b"") | {"attempt": 10**18}),
        encode_event(msgspec.json.decode(Story().started(1).value or b"") | {"offset": 2**63}),
        encode_event(msgspec.json.decode(Story().started(1).value or b"") | {"task_id": "a\0b"}),
        b"[" * 100_000,
    ],
)
def test_what_is_no_event_is_refused_and_leaves_no_trace(value: bytes) -> None:
    folded = Fold()

    with pytest.raises(UNREADABLE):
        READER.read(Record(TOPICS.events, 0, 1, 0, b"k", value, ()), folded)

    assert not folded.tasks
    assert not folded.claims


@given(st.binary(max_size=200), st.sampled_from(sorted(READER.topics)), st.integers(-(2**63), 2**63 - 1))
def test_no_bytes_break_the_reader(value: bytes, topic: str, timestamp: int) -> None:
    headers = (("ce_id", value), ("ce_type", b"noop"), ("dl-provenance", value))

    try:
        READER.read(Record(topic, 0, 1, timestamp, value, value, headers), Fold())
    except UNREADABLE:
        return


def test_parameters_are_kept_small_and_without_personal_data() -> None:
    shown = preview(b'{"cadet_id": 4, "recipient_email": "juan@example.org", "message": "write to juan@example.org"}')

    assert shown is not None
    assert "juan@" not in shown
    assert '"cadet_id":4' in shown
    assert (
        preview(b'{"file": "U3R1ZGVudCBJRA==", "entity_type": "cadets"}')
        == '{"file":"[hidden]","entity_type":"cadets"}'
    )
    assert preview(b'{"updates_data": [{"cadet_id": 7, "last_name": "Cruz"}]}') == '{"updates_data":"[hidden]"}'
    assert preview(b'{"image_data": "' + b"A" * 5000 + b'"}') is None
    assert preview(b"no json") is None
