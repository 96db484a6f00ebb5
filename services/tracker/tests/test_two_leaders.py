"""Two trackers that both think they lead: each lost task comes back once. On the real Kafka and PostgreSQL."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from muster.adapters.clock import SystemClock
from muster.adapters.kafka import KafkaBroker
from muster.contracts.dead_letter import parse_provenance
from muster.contracts.envelope import TaskRecord, parse_task
from muster.contracts.errors import BrokerError
from muster.contracts.events import Started, encode_event
from muster.contracts.topics import Topics
from muster.ports import Position, Producer, Record, TopicPartition
from muster.settings import Settings
from tracker_service.database import Pool
from tracker_service.recovery.fence import Fence
from tracker_service.service import Tracker
from tracker_service.settings import TrackerSettings
from tracker_service.testing.until import until

pytest_plugins = ["tracker_service.testing.fixtures"]

CLOCK = SystemClock()
TASKS = 20
_CUT = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE application_name = 'muster-tracker-leader' AND datname = current_database()"""


@pytest.fixture
async def trackers(broker: KafkaBroker, database: Pool, settings: Settings) -> AsyncIterator[None]:
    """Two whole trackers."""
    async with AsyncExitStack() as stack:
        stop = asyncio.Event()
        for _ in range(2):
            tracker = Tracker(settings, TrackerSettings(http_host="127.0.0.1", http_port=0), broker, CLOCK)
            stack.push_async_callback(asyncio.wait_for, asyncio.create_task(tracker.run(stop)), 120)
        stack.callback(stop.set)
        yield


def fences(broker: KafkaBroker, topics: Topics) -> list[Fence]:
    group = topics.group("tracker")
    return [Fence(lambda: broker.transactional_producer(f"{group}.recovery"), group) for _ in range(2)]


async def lose(broker: KafkaBroker, topics: Topics, producer: Producer, *, losses: int = 0) -> None:
    """Tasks that a worker accepted, which then died without a word. `losses`: how many workers each has cost before."""
    ends: dict[TopicPartition, int] = {}
    for number in range(TASKS):
        task = TaskRecord(task_id=f"task-{number:02d}", task_type="noop", body=b"{}", delivery=losses + 1)
        where: Position = await (
            await producer.send(topics.lane("media"), task.body, key=task.key, headers=task.headers())
        )
        claim = Started(
            task_id=task.task_id, task_type="noop", attempt=1, delivery=task.delivery, worker="dead", at=CLOCK.now(),
            **where._asdict(),
        )  # fmt: skip
        await (await producer.send(topics.events, encode_event(claim), key=task.key))
        ends[TopicPartition(where.topic, where.partition)] = where.offset + 1
    consumer = broker.consumer(group=topics.group("media"))
    consumer.subscribe([topics.lane("media")])
    await consumer.start()
    await consumer.commit(ends)
    await consumer.stop()


async def everything(broker: KafkaBroker, topic: str, partitions: int) -> list[Record]:
    """All records of a topic, as a reader of committed ones sees it now."""
    consumer = broker.consumer()
    where = [TopicPartition(topic, number) for number in range(partitions)]
    consumer.assign(where)
    await consumer.start()
    found: list[Record] = []
    try:
        ends = await consumer.end_offsets(where)
        for partition, end in ends.items():
            while await consumer.position(partition) < end:
                found += await consumer.poll(timeout=0.5)
    finally:
        await consumer.stop()
    return found


def deliveries(records: list[Record]) -> Counter[tuple[str, int]]:
    tasks = [parse_task(record.headers, record.value) for record in records]
    return Counter((task.task_id, task.delivery) for task in tasks)


async def test_whoever_took_the_fence_later_is_the_only_one_who_can_write(broker: KafkaBroker, topics: Topics) -> None:
    early, late = fences(broker, topics)
    lane = topics.lane("media")
    await early.take()
    await early.write([(lane, b"k", b"first", ())])
    await late.take()

    with pytest.raises(BrokerError):
        await early.write([(lane, b"k", b"too late", ()), (lane, b"l", b"too late", ())])
    await late.write([(lane, b"k", b"second", ())])

    assert [record.value for record in await everything(broker, lane, 6)] == [b"first", b"second"]
    # Taken again, it is the other one who writes nothing any more.
    await early.take()
    with pytest.raises(BrokerError):
        await late.write([(lane, b"k", b"too late", ())])
    await early.write([(lane, b"k", b"third", ())])
    assert [record.value for record in await everything(broker, lane, 6)][-1] == b"third"
    await early.drop()
    await late.drop()


async def test_nothing_is_written_before_the_fence_is_taken(broker: KafkaBroker, topics: Topics) -> None:
    with pytest.raises(BrokerError, match="before the fence is taken"):
        await fences(broker, topics)[0].write([(topics.lane("media"), b"k", b"v", ())])


async def test_the_barrier_counts_what_lies_behind_an_open_transaction(broker: KafkaBroker, topics: Topics) -> None:
    lane = topics.lane("media")
    fence, committed, all_of_it = fences(broker, topics)[0], broker.consumer(), broker.consumer(committed_only=False)
    await fence.take()
    await fence.write([(lane, b"k", b"v", ())])

    partitions = [TopicPartition(lane, number) for number in range(6)]
    for reader in (committed, all_of_it):
        reader.assign([])
        await reader.start()

    async def settled() -> bool:
        return await committed.end_offsets(partitions) == await all_of_it.end_offsets(partitions)

    # The record and the transaction's own mark.
    await until(settled, "the transaction is over for everybody")
    assert sum((await all_of_it.end_offsets(partitions)).values()) == 2
    for reader in (committed, all_of_it):
        await reader.stop()
    await fence.drop()


async def test_two_trackers_bring_each_lost_task_back_once_also_when_the_leader_loses_its_lock(
    broker: KafkaBroker, topics: Topics, producer: Producer, database: Pool, trackers: None
) -> None:
    await lose(broker, topics, producer)
    cuts = 0

    async def back() -> bool:
        # Given: whoever leads loses its connection again and again, in whatever step of a round it is.
        nonlocal cuts
        if cuts < 5:
            cuts += len(await database.fetch(_CUT))
        return bool(await database.fetchval("SELECT count(*) = $1 FROM muster.tasks WHERE delivery = 2", TASKS))

    await until(back, "each of them waits for its second delivery")

    assert cuts > 0
    counts = deliveries(await everything(broker, topics.lane("media"), 6))
    assert counts == {(f"task-{number:02d}", delivery): 1 for number in range(TASKS) for delivery in (1, 2)}


async def test_two_trackers_give_each_task_that_costs_three_workers_up_once(
    broker: KafkaBroker, topics: Topics, producer: Producer, database: Pool, trackers: None
) -> None:
    await lose(broker, topics, producer, losses=2)

    async def failed() -> bool:
        return bool(await database.fetchval("SELECT count(*) = $1 FROM muster.tasks WHERE state = 'FAILURE'", TASKS))

    await until(failed, "each of them is a dead letter")

    letters = [parse_provenance(record.headers) for record in await everything(broker, topics.dead_letter, 3)]
    assert Counter(why.task_id for why in letters) == {f"task-{number:02d}": 1 for number in range(TASKS)}
    assert {why.failure.kind for why in letters} == {"worker_lost"}
