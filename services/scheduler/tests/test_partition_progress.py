"""What of a partition was moved survives any crash: nothing lost, nothing moved twice. No Kafka."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from muster.ports import Bookmark
from scheduler_service.progress import MAX_WAITING, Progress


def test_records_that_leave_in_order_need_no_note() -> None:
    progress = Progress(Bookmark(5))
    for offset in (5, 6, 7):
        progress.take(offset)

    progress.moved(5)
    progress.moved(6)

    assert progress.bookmark() == Bookmark(7)


def test_a_record_that_stands_still_is_named_by_the_offset_and_those_behind_it_by_the_note() -> None:
    progress = Progress(Bookmark(0))
    for offset in range(5):
        progress.take(offset)
    for offset in (1, 3):
        progress.moved(offset)

    after_crash = Progress(progress.bookmark())

    assert progress.bookmark() == Bookmark(0, "4:0,2")
    assert [offset for offset in range(6) if after_crash.take(offset)] == [0, 2, 4, 5]


@settings(deadline=None)
@given(st.randoms(use_true_random=False))
def test_no_schedule_of_crashes_loses_or_repeats_a_record(rng: random.Random) -> None:
    # Offsets with holes, as transaction markers leave them.
    log = sorted(rng.sample(range(120), 60))
    moved: list[int] = []
    committed = Bookmark(0)
    progress, held = Progress(committed), set[int]()
    for _ in range(300):
        match rng.choice(["read", "read", "move", "put back", "crash"]):
            case "read":
                offset = next((o for o in log if o >= progress.next_offset), None)
                if offset is not None and progress.take(offset):
                    held.add(offset)
            case "put back" if held and max(held) + 1 == progress.next_offset:
                progress.put_back(max(held))
                held.discard(max(held))
            case "move" if held:
                batch = rng.sample(sorted(held), rng.randint(1, len(held)))
                for offset in batch:
                    progress.moved(offset)
                if rng.random() < 0.8:
                    committed = progress.bookmark()
                    moved += batch
                    held -= set(batch)
                else:  # the transaction failed: all of it is as if it had never been
                    progress, held = Progress(committed), set()
            case "crash":
                progress, held = Progress(committed), set()

    progress = Progress(committed)
    left = [offset for offset in log if progress.take(offset)]

    assert len(moved) == len(set(moved))
    assert sorted(moved + left) == log


def test_the_note_stays_shorter_than_kafka_allows() -> None:
    progress = Progress(Bookmark(10**12))
    offsets = range(10**12, 10**12 + 4_000_000, 997)
    for offset in offsets:
        progress.take(offset)
    ready = set(offsets[1::2])

    movable = list(progress.movable(ready))
    for offset in movable:
        progress.moved(offset)

    assert len(movable) == MAX_WAITING
    assert len(progress.bookmark().note) <= 4_000


def test_the_first_ready_record_may_always_leave() -> None:
    progress = Progress(Bookmark(0))
    for offset in range(2 * MAX_WAITING):
        progress.take(offset)

    assert list(progress.movable({0})) == [0]
    assert list(progress.movable({2 * MAX_WAITING - 1})) == []


@pytest.mark.parametrize("note", ["x", "5:", "5:1,,2", "-1", "5;1", "9" * 30])
def test_a_note_of_somebody_else_is_refused(note: str) -> None:
    with pytest.raises(ValueError, match="was not written by this service"):
        Progress(Bookmark(3, note))
