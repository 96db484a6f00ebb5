"""Delayed records on a real Kafka: never early, hardly late, and nothing in front of them holds them up."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator

import pytest
from muster.adapters.clock import SystemClock
from muster.contracts.dead_letter import parse_provenance
from scheduler_service.membership import Membership

from .conftest import Delays, task_id_of, until

pytestmark = pytest.mark.kafka

#: How late at most on a machine that has other things to do; tests/load/wheel_bench.py counts milliseconds.
LATE_SECONDS = 30.0


@pytest.fixture
async def scheduler(delays: Delays) -> AsyncIterator[Membership]:
    membership = Membership(delays.broker, delays.topics, SystemClock(), "scheduler@test")
    running = asyncio.create_task(membership.run())
    await until(lambda: membership.ready)
    yield membership
    membership.stop()
    await running


async def test_two_thousand_records_arrive_in_time_and_never_early(delays: Delays, scheduler: Membership) -> None:
    count, rng = 2_000, random.Random(3)
    reading = asyncio.create_task(delays.arrivals(lambda found: len(found) >= count, timeout=90))
    for number in range(count):
        await delays.send(f"t{number}", rng.uniform(0.2, 10))
    await delays.written()

    found = await reading

    lateness = sorted(arrived - delays.due[task_id_of(record)] for record, arrived in found)
    early = sum(late < 0 for late in lateness)
    print(f"\n{len(found)} records: {early} early, late p50 {lateness[len(found) // 2] * 1000:.0f} ms, "  # noqa: T201
          f"p99 {lateness[len(found) * 99 // 100] * 1000:.0f} ms, max {lateness[-1] * 1000:.0f} ms")  # fmt: skip
    assert early == 0
    assert sorted(task_id_of(record) for record, _ in found) == sorted(delays.due)
    assert lateness[count * 99 // 100] < LATE_SECONDS


async def test_an_hours_delay_in_front_of_a_second_delays_nothing(delays: Delays, scheduler: Membership) -> None:
    for number in range(60):
        await delays.send(f"hour{number}", 3600)
        await delays.send(f"second{number}", 1)
    await delays.written()

    found = await delays.arrivals(lambda found: len(found) >= 60, timeout=90)

    assert {task_id_of(record)[:6] for record, _ in found} == {"second"}
    lateness = [arrived - delays.due[task_id_of(record)] for record, arrived in found]
    assert min(lateness) >= 0
    assert max(lateness) < LATE_SECONDS


async def test_a_task_handed_back_reaches_its_lane_at_once(delays: Delays, scheduler: Membership) -> None:
    seconds = []
    reading = asyncio.create_task(delays.arrivals(lambda found: len(found) >= 20, timeout=90))
    for number in range(20):
        await asyncio.sleep(0.1)  # idle between two of them
        await delays.send(f"t{number}", 0)
        await delays.written()
    for record, arrived in await reading:
        seconds.append(arrived - delays.due[task_id_of(record)])

    print(f"\nhand-back: p50 {sorted(seconds)[10] * 1000:.0f} ms, max {max(seconds) * 1000:.0f} ms")  # noqa: T201
    assert len(seconds) == 20
    assert sorted(seconds)[10] < LATE_SECONDS


async def test_what_is_no_delayed_task_ends_in_the_dead_letter_and_holds_nothing_up(
    delays: Delays, scheduler: Membership
) -> None:
    await delays.send_raw(b"\x00raw", None, [])
    await delays.send_raw(b"{}", b"t1", [("ce_id", b"t1"), ("ce_type", b"noop"), ("task-route", b"nowhere")])
    await delays.send("good", 0)
    await delays.written()

    letters = await delays.arrivals(lambda found: len(found) >= 2, timeout=90, topic=delays.topics.dead_letter)
    found = await delays.arrivals(lambda found: len(found) >= 1, timeout=90)

    assert [task_id_of(record) for record, _ in found] == ["good"]
    assert {record.value for record, _ in letters} == {b"\x00raw", b"{}"}
    assert {parse_provenance(record.headers).failure.kind for record, _ in letters} == {"invalid"}


async def test_three_schedulers_share_the_shards_and_a_leaving_one_loses_and_doubles_nothing(
    delays: Delays, scheduler: Membership
) -> None:
    others = [Membership(delays.broker, delays.topics, SystemClock(), f"scheduler@{name}") for name in "ab"]
    running = [asyncio.create_task(other.run()) for other in others]
    await until(lambda: all(other.ready for other in others))
    reading = asyncio.create_task(delays.arrivals(lambda found: len(found) >= 600, timeout=30))
    for number in range(600):
        await delays.send(f"t{number}", random.Random(number).uniform(0, 5))
    await delays.written()

    others[0].stop()
    await running[0]
    found = await reading
    others[1].stop()
    await running[1]

    assert sorted(task_id_of(record) for record, _ in found) == sorted(delays.due)
    assert min(arrived - delays.due[task_id_of(record)] for record, arrived in found) >= 0
