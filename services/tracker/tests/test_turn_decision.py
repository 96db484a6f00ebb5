"""Seats in the waiting room: what the log says of them, whatever the order, and whose turn it is."""

from __future__ import annotations

import random
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from muster.contracts.pauses import Pause, pause_key
from muster.contracts.states import TaskState
from muster.ports import Record, TopicPartition
from tracker_service.projection.fold import Fold
from tracker_service.projection.rank import started_rank, terminal_rank, waiting_rank
from tracker_service.projection.reading import Reader
from tracker_service.testing.records import LANE, TOPICS, Story, at
from tracker_service.turns.calling import called
from tracker_service.turns.clearing import is_behind
from tracker_service.turns.decision import Standing, Verdict, verdict_of
from tracker_service.turns.room import portions
from tracker_service.turns.seat import Seat, SeatKey, decode_headers, join

READER = Reader(TOPICS)
SEAT = Seat("t1", 0, "kcadet-7", "noop", 0, 1, 1, at(0), sent=False, offset=3, partition=1)
HERE = waiting_rank(0, 1, 1)


def door(story: Story, seconds: float, **changes: object) -> Record:
    """The task in `tasks.keyed`."""
    record = story.lane(seconds, **{"route": LANE, "order_key": "cadet-7", **changes})
    return record._replace(topic=TOPICS.keyed)


def life() -> list[Record]:
    """Called, held by a pause in its second attempt, written to the door twice by it, and called again."""
    story = Story()
    return [
        door(story, 1),
        story.lane(2, order_key="cadet-7", sequenced=1),
        story.started(3),
        story.retry(4, attempt=2, order_key="cadet-7", sequenced=1),
        story.lane(64, attempt=2, order_key="cadet-7", sequenced=1),
        door(story, 65, attempt=2, sequenced=1),
        door(story, 66, attempt=2, sequenced=1),
        story.lane(90, attempt=2, order_key="cadet-7", sequenced=2),
    ]


def fold(records: list[Record]) -> Fold:
    folded = Fold()
    for record in records:
        READER.read(record, folded)
    return folded


def seat_after(count: int) -> Seat:
    return fold(life()[:count]).seats[SeatKey("t1", 0)]


def test_a_seat_waits_is_called_comes_back_and_keeps_its_first_place() -> None:
    stages = [(seat_after(count).stage, seat_after(count).attempt) for count in (1, 2, 4, 6, 7, 8)]

    assert stages == [(0, 1), (1, 1), (1, 2), (2, 2), (2, 2), (3, 2)]
    assert {(seat_after(count).offset, seat_after(count).queue) for count in range(1, 9)} == {(1, "kcadet-7")}
    assert [seat_after(count).sent for count in (1, 2, 6, 8)] == [False, True, False, True]
    # The record is kept exactly while it waits.
    assert [seat_after(count).body for count in (1, 2, 6, 8)] == [b'{"number": 1}', None, b'{"number": 1}', None]


@given(st.randoms(use_true_random=False), st.lists(st.integers(0, 7), max_size=9))
def test_the_order_in_which_facts_are_folded_does_not_matter(dice: random.Random, repeats: list[int]) -> None:
    records = life()
    mixed = [*records, *(records[number] for number in repeats)]
    dice.shuffle(mixed)

    assert fold(mixed).seats == fold(records).seats
    assert fold(mixed).tasks == fold(records).tasks


@given(st.permutations(range(8)), st.integers(0, 8))
def test_batches_join_as_single_facts_do(order: list[int], cut: int) -> None:
    facts = [next(iter(fold([life()[number]]).seats.values()), None) for number in order]
    seats = [fact for fact in facts if fact is not None]
    whole, first, second = None, None, None
    for number, seat in enumerate(seats):
        whole = join(whole, seat)
        if number < cut:
            first = join(first, seat)
        else:
            second = join(second, seat)

    joined = second if first is None else first if second is None else join(first, second)

    assert joined == whole


@pytest.mark.parametrize(
    ("seat", "standing", "verdict"),
    [
        (SEAT, Standing(HERE), Verdict.CALL),
        (SEAT, Standing(None), Verdict.CALL),
        (SEAT, Standing(HERE, queue_busy=True), Verdict.AWAY),
        (replace(SEAT, stage=1), Standing(HERE), Verdict.AWAY),
        # Its task is claimed, or went on, since the record that waits was written: recovery has it, or a retry topic.
        (SEAT, Standing(started_rank(0, 1, 1)), Verdict.AWAY),
        (SEAT, Standing(waiting_rank(0, 1, 2)), Verdict.AWAY),
        (SEAT, Standing(terminal_rank(0, TaskState.SUCCESS)), Verdict.OVER),
        (SEAT, Standing(waiting_rank(1, 1, 1)), Verdict.OVER),
        # The end of an earlier round says nothing about this one.
        (replace(SEAT, redrive=1), Standing(terminal_rank(0, TaskState.SUCCESS)), Verdict.CALL),
        (SEAT, Standing(HERE, paused=True), Verdict.HELD),
        (SEAT, Standing(HERE, paused=True, revoked=True), Verdict.REVOKED),
        (replace(SEAT, expires_at=at(10)), Standing(HERE), Verdict.EXPIRED),
        (replace(SEAT, expires_at=at(11)), Standing(HERE), Verdict.CALL),
        (replace(SEAT, stage=2, came_at=at(9.5)), Standing(HERE), Verdict.COOLING),
        (replace(SEAT, stage=2, came_at=at(8)), Standing(HERE), Verdict.CALL),
        # Its lane record may be handed out once more.
        (replace(SEAT, left="tasks.media.default/0/5"), Standing(HERE), Verdict.UNCLEARED),
        # Written by a clock that runs ahead.
        (replace(SEAT, stage=2, came_at=at(500)), Standing(HERE), Verdict.CALL),
    ],
)
def test_only_the_first_of_a_queue_that_stands_at_its_record_is_called(
    seat: Seat, standing: Standing, verdict: Verdict
) -> None:
    assert verdict_of(seat, standing, at(10)) is verdict


@pytest.mark.parametrize(
    ("left", "behind"),
    [
        (f"{LANE}/2/5", True),
        (f"{LANE}/2/6", False),
        (f"{LANE}/3/0", False),
        # What no worker of ours wrote holds nobody up.
        ("tasks.nowhere/0/0", True),
        (f"{LANE}/x/0", True),
        (LANE, True),
    ],
)
def test_a_lane_record_is_behind_once_its_group_has_committed_past_it(left: str, behind: bool) -> None:
    assert is_behind(left, {TopicPartition(LANE, 2): 6}, TOPICS) is behind


def test_a_called_task_goes_to_its_lane_or_on_its_way_to_it_when_it_is_due_later() -> None:
    task = msgspec.structs.replace(Story().task, route="elsewhere", handover=2, not_before=at(5))

    soon, later = called(task, 1, LANE, at(6)), called(task, 3, LANE, at(4))

    assert (soon.sequenced, soon.route, soon.not_before, soon.handover) == (1, None, None, 0)
    assert (later.sequenced, later.route, later.not_before) == (3, LANE, at(5))


def test_a_task_without_a_key_is_a_queue_of_its_own_and_a_seat_remembers_its_record() -> None:
    story = Story()
    record = door(story, 1, order_key=None, extra=(("x-own", b"kept"),))

    [seat] = fold([record]).seats.values()

    assert seat.queue == "tt1"
    assert decode_headers(seat.headers or b"") == record.headers


def test_a_record_at_the_door_that_is_no_task_takes_a_seat_under_the_id_of_its_dead_letter() -> None:
    record = Record(TOPICS.keyed, 2, 9, 1_800_000_000_000, None, b"\xff", (("ce_type", b"noop"),))

    [seat] = fold([record]).seats.values()

    assert (seat.task_type, seat.stage, seat.body) == ("noop", 0, b"\xff")


def test_a_pause_and_its_end_are_told_from_revocations_by_their_key() -> None:
    pause = msgspec.json.encode(Pause(pauses="noop", at=at(1), by=7))
    records = [
        Record(TOPICS.control, 0, 1, 0, pause_key("noop"), pause, ()),
        Record(TOPICS.control, 0, 2, 0, pause_key("other"), None, ()),
        Record(TOPICS.control, 0, 3, 0, b"noop", None, ()),
    ]

    folded = fold(records)

    assert {row.task_type: row.paused_at for row in folded.pauses.values()} == {"noop": at(1), "other": None}
    assert list(folded.revocations) == ["noop"]


def test_portions_are_bounded_by_number_and_by_bytes() -> None:
    megabytes = [1, 15, 20, 1, *[0] * 600]

    found = [len(portion) for portion in portions(megabytes, lambda size: size * 1024 * 1024)]

    assert sum(found) == len(megabytes)
    assert found[:2] == [2, 1]
    assert max(found) == 500
