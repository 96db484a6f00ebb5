"""A redriven task in the projection: it leaves its FAILURE and ends once more, under the same id."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st
from muster.contracts.redrive import redrive
from muster.ports import Record
from tracker_service.projection.fold import Fold
from tracker_service.projection.reading import Reader
from tracker_service.testing.records import LANE, TOPICS, Story, at

READER = Reader(TOPICS)


def two_rounds() -> list[Record]:
    """Fails in its first round, is redriven, and succeeds at the second attempt of the next."""
    story = Story()
    first = [story.lane(), story.started(1), story.dead(2)]
    lane, task = redrive(first[-1].headers, first[-1].value, TOPICS, now=at(9))
    again = story.lane(9)._replace(topic=lane, value=task.body, headers=tuple(task.headers()))
    second = [
        again, story.started(10, redrive=1), story.retry(11, attempt=2, redrive=1),
        story.lane(71, attempt=2, redrive=1), story.started(72, attempt=2, redrive=1),
        story.succeeded(73, attempt=2, redrive=1),
    ]  # fmt: skip
    return [*first, *second]


def fold(records: list[Record]) -> Fold:
    folded = Fold()
    for record in records:
        READER.read(record, folded)
    return folded


def test_a_redriven_task_leaves_its_failure_and_ends_in_success_under_the_same_id() -> None:
    records = two_rounds()

    failed, waiting, ended = (fold(records[:count]).tasks for count in (3, 4, len(records)))

    assert [tasks.keys() for tasks in (failed, waiting, ended)] == [{"t1"}] * 3
    assert (failed["t1"].state, failed["t1"].redrive) == ("FAILURE", 0)
    assert (waiting["t1"].state, waiting["t1"].redrive, waiting["t1"].detail) == ("PENDING", 1, None)
    assert (ended["t1"].state, ended["t1"].redrive, ended["t1"].attempt) == ("SUCCESS", 1, 2)
    assert ended["t1"].submitted_at == at(0)
    assert records[3].topic == LANE


@given(st.randoms(use_true_random=False), st.lists(st.integers(0, 8), max_size=9))
def test_the_order_of_both_rounds_does_not_matter(dice: random.Random, repeats: list[int]) -> None:
    records = two_rounds()
    mixed = [*records, *(records[number] for number in repeats)]
    dice.shuffle(mixed)

    folded = fold(mixed)

    assert (folded.tasks["t1"].state, folded.tasks["t1"].redrive) == ("SUCCESS", 1)
    assert folded.open_claims() == []
