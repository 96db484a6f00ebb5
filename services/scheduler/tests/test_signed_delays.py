"""The scheduler with signing keys: it signs what it moves, and moves nothing that nobody vouches for. In memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta

import pytest
from muster.adapters.clock import FakeClock
from muster.adapters.memory import MemoryBroker
from muster.adapters.signed import SignedBroker
from muster.contracts.dead_letter import nameless_id, parse_provenance
from muster.contracts.envelope import TaskRecord
from muster.contracts.schedule import Schedule, encode_schedule
from muster.contracts.signature import SIGNATURE, Signatures, Signed
from muster.contracts.topics import Lane, Topics
from muster.ports import Broker, Position, Record, TopicPartition
from scheduler_service.membership import Membership

TOPICS = Topics()
LANE = TOPICS.lane("media", "high")
SIGNATURES = Signatures(TOPICS, {"k1": bytes(32)})


@dataclass
class Story:
    clock: FakeClock
    plain: MemoryBroker

    async def send(self, broker: Broker, task_id: str, seconds: float) -> Position:
        due = self.clock.now() + timedelta(seconds=seconds)
        task = TaskRecord(task_id=task_id, task_type="noop", body=b"{}", not_before=due, route=LANE)
        producer = broker.producer()
        await producer.start()
        written = await producer.send(TOPICS.retry, task.body, key=task.key, headers=task.headers())
        await producer.stop()
        return await written

    async def read(self, topic: str) -> list[Record]:
        """As they lie in the log."""
        consumer = self.plain.consumer()
        count = (await self.plain.admin().partitions([topic]))[topic]
        consumer.assign([TopicPartition(topic, number) for number in range(count)])
        await consumer.start()
        records = await consumer.poll(max_records=1000, timeout=0)
        await consumer.stop()
        return records


@pytest.fixture
async def story() -> AsyncIterator[Story]:
    clock = FakeClock()
    plain = MemoryBroker(clock)
    await plain.admin().apply(TOPICS.specs())
    scheduler = Membership(SignedBroker(plain, SIGNATURES), TOPICS, clock, "scheduler@memory")
    running = asyncio.create_task(scheduler.run())
    await clock.advance(0.1)
    yield Story(clock, plain)
    scheduler.stop()
    await clock.advance(1)
    await running


async def test_every_hop_is_signed_for_the_topic_it_goes_to(story: Story) -> None:
    await story.send(SignedBroker(story.plain, SIGNATURES), "t", 3.5)

    await story.clock.advance(6)

    hops = [*await story.read(TOPICS.delay(2)), *await story.read(TOPICS.delay(1)), *await story.read(LANE)]
    assert [hop.topic for hop in hops] == [TOPICS.delay(2), TOPICS.delay(1), LANE]
    for hop in hops:
        assert SIGNATURES.refusal(Signed(hop.topic, hop.key, hop.value, hop.headers)) is None
        assert [name for name, _ in hop.headers].count(SIGNATURE) == 1


async def test_a_fire_is_signed_and_a_schedule_that_nobody_vouches_for_does_not_fire(story: Story) -> None:
    for broker, name in ((SignedBroker(story.plain, SIGNATURES), "ours"), (story.plain, "forged")):
        schedule = Schedule(name=name, task_type="noop", service="media", lane=Lane.HIGH, every=1.0)
        producer = broker.producer()
        await producer.start()
        await producer.send(TOPICS.schedules, encode_schedule(schedule), key=name.encode())
        await producer.stop()

    await story.clock.advance(2.5)

    fires = await story.read(LANE)
    assert {dict(fire.headers)["task-schedule"] for fire in fires} == {b"ours"}
    for fire in fires:
        assert SIGNATURES.refusal(Signed(fire.topic, fire.key, fire.value, fire.headers)) is None


async def test_an_unsigned_record_goes_to_the_dead_letter_and_never_to_its_lane(story: Story) -> None:
    where = await story.send(story.plain, "forged", 0.5)

    await story.clock.advance(3)

    assert await story.read(LANE) == []
    [letter] = await story.read(TOPICS.dead_letter)
    why = parse_provenance(letter.headers)
    assert (why.task_id, why.failure.kind) == (nameless_id(*where), "unauthenticated")
    assert "task forged" in why.failure.message
    assert letter.value == b"{}"
    assert SIGNATURE not in dict(letter.headers), "signed by nobody, still"
    assert SIGNATURES.refusal(Signed(letter.topic, letter.key, letter.value, letter.headers)) is None
