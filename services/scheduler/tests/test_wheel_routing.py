"""The wheel's routes, over every border between retry topics: never early, in few hops. No Kafka."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from muster.contracts.dead_letter import parse_provenance
from muster.contracts.envelope import TaskRecord, parse_task
from muster.contracts.topics import DELAYS, Topics
from muster.ports import Record
from scheduler_service.outgoing import to_dead_letter, to_lane, to_retry_topic
from scheduler_service.wheel import To, Wait, Wheel

START = 1_800_000_000.0
TOPICS = Topics("p.")
LANE = TOPICS.lane("media")


def delayed(due: float, topic: str = TOPICS.retry, at: float = START, route: str | None = LANE) -> Record:
    not_before = datetime.fromtimestamp(due, UTC)
    task = TaskRecord(task_id="t1", task_type="noop", body=b"{}", not_before=not_before, route=route, attempt=2)
    return Record(topic, 0, 7, int(at * 1000), b"t1", b"{}", tuple(task.headers()))


def travel(due: float, *, hop_seconds: float = 0.005) -> tuple[float, int]:
    """Follow a record from `tasks.retry` to its lane, every step as soon as it can be; returns (arrival, hops)."""
    wheel, now, hops, topic = Wheel(TOPICS), START, 0, TOPICS.retry
    traveller = wheel.read(delayed(due))
    while True:
        step = wheel.step(traveller, now)
        if isinstance(step, Wait):
            assert step.until > now, "waiting must end"
            now = step.until
            continue
        if step.topic == LANE:
            return now, hops
        now, hops, topic = now + hop_seconds, hops + 1, step.topic
        traveller = wheel.read(delayed(due, topic, at=now))


BORDERS = [delay + shift for delay in (0, *DELAYS) for shift in (-0.03, -0.02, -0.001, 0.0, 0.001, 0.019, 0.02, 0.021)]


@pytest.mark.parametrize("remaining", BORDERS)
def test_no_record_is_early_or_late_at_the_border_of_a_retry_topic(remaining: float) -> None:
    due = delayed_due(START + remaining)

    arrival, _ = travel(due)

    assert arrival >= due
    assert arrival <= max(due, START) + 0.001


@settings(deadline=None)  # a busy machine is no failure
@given(st.floats(min_value=-10, max_value=400 * 86_400))
@example(365 * 86_400.0)
def test_any_due_time_is_met_within_a_year_in_logarithmic_hops(remaining: float) -> None:
    due = delayed_due(START + remaining)

    arrival, hops = travel(due)

    turns = max(0.0, remaining) // DELAYS[-1]
    assert arrival >= due
    assert arrival <= max(due, START) + 0.001
    # A hop takes time itself, so the last margin below a border may cost one more.
    assert hops <= turns + 2 * math.log2(DELAYS[-1]) + 2


@settings(deadline=None)
@given(st.floats(min_value=0, max_value=100), st.floats(min_value=-5, max_value=5))
def test_a_broker_whose_clock_is_wrong_makes_no_record_early(remaining: float, skew: float) -> None:
    wheel, due, now = Wheel(TOPICS), delayed_due(START + remaining), START
    traveller = wheel.read(delayed(due, TOPICS.delay(4), at=START + skew))
    while (step := wheel.step(traveller, now)) != To(LANE):
        now = step.until if isinstance(step, Wait) else now + 0.5

    assert now >= due


def delayed_due(instant: float) -> float:
    """As it comes out of the header: microseconds."""
    return datetime.fromtimestamp(instant, UTC).timestamp()


def test_a_record_without_a_due_time_goes_to_its_lane_at_once() -> None:
    task = TaskRecord(task_id="t1", task_type="noop", body=b"{}", route=LANE)
    record = Record(TOPICS.retry, 0, 0, 0, None, b"{}", tuple(task.headers()))

    wheel = Wheel(TOPICS)

    assert wheel.step(wheel.read(record), START) == To(LANE)


def test_a_record_past_its_due_time_leaves_even_the_longest_retry_topic_at_once() -> None:
    wheel = Wheel(TOPICS)

    step = wheel.step(wheel.read(delayed(START - 1, TOPICS.delay(131072))), START)

    assert step == To(LANE)


def test_a_released_record_loses_its_travel_headers_and_keeps_all_others() -> None:
    record = delayed(START)
    record = record._replace(headers=(*record.headers, ("x-unknown", b"\xff"), ("task-key", b"cadet-7")))

    topic, key, value, headers = to_lane(Wheel(TOPICS).read(record))

    assert (topic, key, value) == (LANE, b"cadet-7", b"{}")
    assert ("x-unknown", b"\xff") in headers
    assert {"task-notbefore", "task-route"} & {name for name, _ in headers} == set()
    assert parse_task(headers, value).attempt == 2


def test_a_hop_leaves_the_record_as_it_is() -> None:
    record = delayed(START + 100)

    topic, key, value, headers = to_retry_topic(Wheel(TOPICS).read(record), TOPICS.delay(64))

    assert (topic, key, value, tuple(headers)) == (TOPICS.delay(64), b"t1", b"{}", record.headers)


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ((), "header ce_id"),
        ((("ce_id", b"t1"), ("ce_type", b"noop")), "header task-route must be the lane"),
        ((("ce_id", b"t1"), ("ce_type", b"noop"), ("task-route", b"p.tasks.events")), "got 'p.tasks.events'"),
        ((("ce_id", b"t1"), ("ce_type", b"noop"), ("task-route", b"tasks.media.default")), "task-route"),
        ((("ce_id", b"t1"), ("ce_type", b"noop"), ("task-notbefore", b"tomorrow")), "task-notbefore"),
        ((("ce_id", b"\xff"), ("ce_type", b"noop"), ("task-route", LANE.encode())), "ce_id is not UTF-8"),
    ],
)
def test_a_record_that_cannot_be_moved_goes_to_the_dead_letter_with_its_bytes(
    headers: tuple[tuple[str, bytes], ...], message: str
) -> None:
    record = Record(TOPICS.retry, 2, 9, int(START * 1000), None, b"\x00raw", headers)
    wheel = Wheel(TOPICS)

    traveller = wheel.read(record)
    assert wheel.step(traveller, START) == To(TOPICS.dead_letter)
    _, _, value, written = to_dead_letter(traveller, "scheduler@test", datetime.fromtimestamp(START, UTC))

    assert value == b"\x00raw"
    assert tuple(written)[: len(headers)] == headers
    provenance = parse_provenance(written)
    assert message in provenance.failure.message
    assert (provenance.failure.kind, provenance.partition, provenance.offset) == ("invalid", 2, 9)
    assert provenance.task_id
