"""The whole scheduler on the log in memory, its time owned by the test: due times to the millisecond, broken moves."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from muster.adapters.clock import FakeClock
from muster.adapters.memory import MemoryBroker
from muster.contracts.envelope import TaskRecord
from muster.contracts.errors import BrokerError
from muster.contracts.topics import DELAYS, Topics
from muster.ports import Record, TopicPartition
from scheduler_service.membership import RESTART_SECONDS, Membership

TOPICS = Topics()
LANE = TOPICS.lane("media", "high")


@dataclass
class Story:
    clock: FakeClock
    broker: MemoryBroker
    scheduler: Membership
    due: dict[str, float] = field(default_factory=dict)

    async def send(self, task_id: str, seconds: float) -> None:
        due = self.clock.now() + timedelta(seconds=seconds)
        self.due[task_id] = due.timestamp()
        task = TaskRecord(task_id=task_id, task_type="noop", body=b"{}", not_before=due, route=LANE)
        producer = self.broker.producer()
        await producer.start()
        await producer.send(TOPICS.retry, task.body, key=task.key, headers=task.headers())
        await producer.stop()

    async def leap_towards(self, instant: float) -> None:
        """Half of the way at a time, so that records hop as they do; the last seconds pass as they are."""
        await self.clock.advance(max(0.0, min(0.05, instant - self.clock.now().timestamp())))
        while (left := instant - self.clock.now().timestamp()) > 3:
            self.clock.set(self.clock.now() + timedelta(seconds=left / 2))
            await self.clock.advance(0.25)
        await self.clock.advance(max(0.0, instant - self.clock.now().timestamp()))

    async def lane(self) -> dict[str, float]:
        """Task id -> lateness of every record in the lane; an id that is there twice fails the test."""
        consumer = self.broker.consumer()
        consumer.assign([TopicPartition(LANE, number) for number in range(6)])
        await consumer.start()
        records: list[Record] = await consumer.poll(max_records=10_000, timeout=0)
        await consumer.stop()
        ids = [dict(record.headers)["ce_id"].decode() for record in records]
        assert len(ids) == len(set(ids))
        return {i: record.timestamp_ms / 1000 - self.due[i] for i, record in zip(ids, records, strict=True)}


@pytest.fixture
async def story() -> AsyncIterator[Story]:
    clock = FakeClock()
    broker = MemoryBroker(clock)
    await broker.admin().apply(TOPICS.specs())
    scheduler = Membership(broker, TOPICS, clock, "scheduler@memory")
    running = asyncio.create_task(scheduler.run())
    await clock.advance(0.1)
    yield Story(clock, broker, scheduler)
    scheduler.stop()
    await clock.advance(1)
    await running


@pytest.mark.parametrize("seconds", [0, 0.001, 0.5, 0.99, 1.0, 1.02, 1.5, 2.0, 3.99, 4.03, 8.5, 17.3])
async def test_a_record_is_in_its_lane_at_its_due_time_and_not_a_millisecond_before(
    story: Story, seconds: float
) -> None:
    await story.send("t", seconds)

    await story.clock.advance(max(0.0, seconds - 0.002))
    before = await story.lane()
    await story.clock.advance(0.3)
    after = await story.lane()

    assert before == {} or seconds <= 0.002
    # The timestamp is cut to milliseconds.
    assert -0.001 < after["t"] < 0.05


async def test_no_record_is_early_over_any_border_of_any_tier(story: Story) -> None:
    # Up to two turns over the longest retry topic; the clock leaps over the hours in which nothing can happen.
    for delay in (*DELAYS, 2 * DELAYS[-1]):
        for shift in (-0.021, -0.001, 0.0, 0.019, 0.021, 0.7):
            await story.send(f"{delay}s{shift:+}", delay + shift)

    for task_id, due in sorted(story.due.items(), key=lambda item: item[1]):
        await story.leap_towards(due - 0.0005)
        assert task_id not in await story.lane()
    await story.clock.advance(0.05)

    lateness = await story.lane()
    assert set(lateness) == set(story.due)
    assert -0.001 < min(lateness.values()) <= max(lateness.values()) < 0.05


@pytest.mark.parametrize("written", [False, True], ids=["the move failed", "only its answer was lost"])
async def test_a_broken_move_loses_and_doubles_nothing(story: Story, written: bool) -> None:
    rng = random.Random(5)
    for number in range(60):
        await story.send(f"t{number}", rng.uniform(0, 6))

    for _ in range(5):
        story.broker.fail_next("move", BrokerError("planned"), written=written)
        await story.clock.advance(1)
    await story.clock.advance(6 + 5 * RESTART_SECONDS)

    lateness = await story.lane()
    assert set(lateness) == set(story.due)
    assert min(lateness.values()) > -0.001


async def test_records_that_stand_still_do_not_hold_up_those_behind_them(story: Story) -> None:
    for number in range(40):
        await story.send(f"slow{number}", 0.9)
        await story.send(f"fast{number}", 0.1)

    await story.clock.advance(0.2)
    early = await story.lane()
    await story.clock.advance(1)

    assert {name[:4] for name in early} == {"fast"}
    assert len(early) == 40
    assert len(await story.lane()) == 80


async def test_a_second_scheduler_takes_over_when_the_first_leaves(story: Story) -> None:
    for number in range(30):
        await story.send(f"t{number}", number / 5)
    second = Membership(story.broker, TOPICS, story.clock, "scheduler@second")
    running = asyncio.create_task(second.run())
    await story.clock.advance(2)

    story.scheduler.stop()
    await story.clock.advance(8)

    assert set(await story.lane()) == set(story.due)
    second.stop()
    await story.clock.advance(1)
    await running
