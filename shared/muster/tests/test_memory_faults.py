"""Planned faults of the log in memory, on a clock moved by hand. What it shares with Kafka is the broker contract."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from datetime import UTC, datetime

import pytest
from muster.adapters.clock import FakeClock, settle
from muster.adapters.memory import MemoryBroker
from muster.adapters.memory_consumer import MemoryConsumer
from muster.contracts.errors import BrokerError, CommitRefused
from muster.contracts.topics import TopicSpec
from muster.ports import Position, TopicPartition

START = datetime(2026, 11, 23, 8, tzinfo=UTC)
LANE = TopicPartition("lane", 0)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(START)


@pytest.fixture
async def broker(clock: FakeClock) -> MemoryBroker:
    broker = MemoryBroker(clock)
    await broker.admin().apply([TopicSpec("lane", 2), TopicSpec("events", 1)])
    return broker


async def written(broker: MemoryBroker, topic: str = "lane", value: bytes = b"x") -> Position:
    producer = broker.producer()
    await producer.start()
    return await (await producer.send(topic, value, key=b"k"))


async def member(broker: MemoryBroker, listener: Diary | None = None) -> MemoryConsumer:
    consumer = broker.consumer(group="g")
    consumer.subscribe(["lane"], listener)
    await consumer.start()
    return consumer


class Diary:
    """Remembers what a rebalance listener was told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    async def on_revoked(self, partitions: Collection[TopicPartition]) -> None:
        self.told.append(f"revoked {len(partitions)}")

    async def on_assigned(self, partitions: Collection[TopicPartition]) -> None:
        self.told.append(f"assigned {len(partitions)}")


async def test_a_planned_produce_fails_once_and_writes_nothing(broker: MemoryBroker) -> None:
    broker.fail_next("produce", BrokerError("no answer"))

    with pytest.raises(BrokerError, match="no answer"):
        await written(broker)

    assert (await written(broker)).offset == 0


async def test_a_lost_answer_leaves_the_record_written(broker: MemoryBroker) -> None:
    broker.fail_next("produce", BrokerError("no answer"), topic="lane", written=True)

    assert (await written(broker, "events")).offset == 0
    with pytest.raises(BrokerError):
        await written(broker)

    assert (await written(broker)).offset == 1


async def test_a_planned_commit_fails_with_the_given_error(broker: MemoryBroker) -> None:
    consumer = await member(broker)
    broker.fail_next("commit", CommitRefused("the group moved on"))
    broker.fail_next("commit", BrokerError("unknown"), written=True)

    for refusal in (CommitRefused, BrokerError):
        with pytest.raises(refusal):
            await consumer.commit({LANE: 1})

    assert await consumer.committed(LANE) == 1


async def test_a_planned_move_is_aborted_or_only_its_answer_is_lost(broker: MemoryBroker) -> None:
    mover = broker.transactional_producer("m")
    await mover.start()
    reader = broker.consumer()
    reader.assign([LANE, TopicPartition("lane", 1)])
    await reader.start()

    for value, happened in ((b"aborted", False), (b"unanswered", True)):
        broker.fail_next("move", BrokerError("no answer"), written=happened)
        with pytest.raises(BrokerError):
            await mover.move([("lane", b"k", value, ())], {LANE: 5}, "g")

    assert [record.value for record in await reader.poll(timeout=0)] == [b"unanswered"]
    assert await broker.admin().committed("g") == {LANE: 5}


async def test_an_expelled_member_knows_nothing_until_it_joins_again(broker: MemoryBroker, clock: FakeClock) -> None:
    diary = Diary()
    zombie, heir = await member(broker, diary), await member(broker)
    owned = zombie.assignment()

    broker.expel(zombie, rejoin_after=3)
    await clock.advance(1)

    assert zombie.assignment() == owned
    assert heir.assignment() == {LANE, TopicPartition("lane", 1)}
    with pytest.raises(CommitRefused):
        await zombie.commit(dict.fromkeys(owned, 1))

    await clock.advance(3)
    assert diary.told[-2:] == ["revoked 1", "assigned 1"]
    await zombie.commit(dict.fromkeys(zombie.assignment(), 1))


async def test_a_frozen_member_stays_out_and_still_reads(broker: MemoryBroker, clock: FakeClock) -> None:
    zombie = await member(broker)
    broker.expel(zombie, rejoin_after=None)
    await clock.advance(1000)

    await written(broker)

    assert len(await zombie.poll(timeout=0)) == 1
    assert broker.members("g") == []


async def test_waiting_and_timestamps_follow_the_clock_moved_by_hand(broker: MemoryBroker, clock: FakeClock) -> None:
    consumer = await member(broker)
    waiting = asyncio.create_task(consumer.poll(timeout=60))
    await clock.advance(59)
    assert not waiting.done()

    await written(broker)
    [record] = await waiting
    assert record.timestamp_ms == int(START.timestamp() * 1000) + 59_000

    empty = asyncio.create_task(consumer.poll(timeout=60))
    await clock.advance(61)
    assert await empty == []


async def test_an_open_transaction_hides_what_follows_until_it_times_out(
    broker: MemoryBroker, clock: FakeClock
) -> None:
    transaction = broker.log.begin("killed")
    broker.log.append("lane", b"k", b"torn", (), transaction=transaction)
    await written(broker)
    reader = broker.consumer()
    reader.assign([LANE, TopicPartition("lane", 1)])
    await reader.start()

    assert await reader.poll(timeout=0) == []
    await clock.advance(6)

    assert [record.value for record in await reader.poll(timeout=0)] == [b"x"]


async def test_a_new_owner_ends_the_open_transaction_of_a_zombie_at_once(broker: MemoryBroker) -> None:
    transaction = broker.log.begin("m")
    broker.log.append("lane", b"k", b"torn", (), transaction=transaction)
    reader = broker.consumer()
    reader.assign([LANE, TopicPartition("lane", 1)])
    await reader.start()

    await broker.transactional_producer("m").start()
    await written(broker)

    assert [record.value for record in await reader.poll(timeout=0)] == [b"x"]


async def test_the_same_story_gives_the_same_log_twice() -> None:
    async def tell() -> list[object]:
        clock = FakeClock(START)
        broker = MemoryBroker(clock)
        await broker.admin().apply([TopicSpec("lane", 2)])
        first, second = await member(broker), await member(broker)
        producer = broker.producer()
        await producer.start()
        for n in range(20):
            await producer.send("lane", b"%d" % n, key=None if n % 2 else b"%d" % n)
            await clock.advance(0.5)
        await settle()
        return [*await first.poll(timeout=0), *await second.poll(timeout=0), sorted(first.assignment())]

    assert await tell() == await tell()
