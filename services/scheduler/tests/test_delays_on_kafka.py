"""Delayed records on a real Kafka: never early, hardly late, and nothing in front of them holds them up."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator

import pytest
from muster.adapters.clock import SystemClock
from scheduler_service.membership import Membership

from .conftest import Delays, task_id_of, until

pytestmark = pytest.mark.kafka


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
    reading = asyncio.create_task(delays.arrivals(lambda found: len(found) >= count, timeout=40))
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
    assert lateness[count * 99 // 100] < 1.0
