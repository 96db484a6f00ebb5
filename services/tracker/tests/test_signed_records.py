"""What the projection makes of records that nobody vouches for: they say nothing about the task they claim to be."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import pytest
from muster.contracts.dead_letter import dead_letter_headers, nameless_id, provenance_of, task_of_unreadable
from muster.contracts.envelope import Failure
from muster.contracts.signature import REFUSAL
from muster.ports import Record
from tracker_service.projection.fold import Fold
from tracker_service.projection.reading import UNREADABLE, Reader
from tracker_service.testing.records import TOPICS, Story, at

READER = Reader(TOPICS)


def refused(record: Record) -> Record:
    """As whoever checks signatures hands it over."""
    return record._replace(headers=((REFUSAL, b"it is not signed"), *record.headers))


def letter_of(record: Record) -> Record:
    """What a worker writes of it, signed."""
    task = task_of_unreadable(record.headers, topic=record.topic, partition=record.partition, offset=record.offset)
    why = provenance_of(
        task, Failure("unauthenticated", "Unauthenticated", "nobody vouches for it", "w1", None, at(9)),
        topic=record.topic, partition=record.partition, offset=record.offset, timestamp_ms=1, now=at(9),
    )  # fmt: skip
    headers = tuple(dead_letter_headers(record.headers, why))
    return Record(TOPICS.dead_letter, 0, 77, record.timestamp_ms, b"k", record.value, headers)


def fold(records: Iterable[Record]) -> Fold:
    folded = Fold()
    for record in records:
        READER.read(record, folded)
    return folded


def test_a_forged_record_and_its_letter_leave_the_task_they_name_alone() -> None:
    story = Story(submitter=7)
    honest = [story.lane(), story.started(1)]
    forged = refused(story.lane(2, redrive=5, submitter=1))

    folded = fold([*honest, forged, letter_of(forged)])

    assert folded.tasks["t1"] == fold(honest).tasks["t1"]
    assert folded.open_claims() == fold(honest).open_claims()
    shown = folded.tasks[nameless_id(forged.topic, forged.partition, forged.offset)]
    assert (shown.state, shown.task_type, shown.service) == ("FAILURE", "noop", "media")
    assert shown.submitter is None, "nobody is shown a task of theirs because somebody says so"
    assert msgspec.json.decode(shown.detail or "")["failure"]["kind"] == "unauthenticated"


def test_a_refused_retry_is_shown_by_its_letter_alone() -> None:
    forged = refused(Story().retry(2, attempt=2))

    with pytest.raises(UNREADABLE):
        fold([forged])
    [shown] = fold([letter_of(forged)]).tasks.values()
    assert (shown.state, shown.submitted_at) == ("FAILURE", at(9)), "in lists, too, which are ordered by it"


def test_a_letter_that_nobody_signed_ends_no_task() -> None:
    with pytest.raises(UNREADABLE, match="nobody vouches for this letter"):
        fold([refused(Story().dead(3))])
