"""The projection against the real Kafka and PostgreSQL: offsets, rebuilds, poison, two trackers at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
from muster.adapters.clock import SystemClock
from muster.adapters.kafka import KafkaBroker
from muster.contracts.envelope import TaskRecord
from muster.contracts.events import Started, Succeeded, encode_event
from muster.contracts.topics import Topics
from muster.ports import Bookmark, Producer, TopicPartition
from tracker_service.database import Pool
from tracker_service.projection.freshness import Freshness
from tracker_service.projection.projector import Projector
from tracker_service.projection.store import Store
from tracker_service.testing.rows import dump
from tracker_service.testing.until import Condition, until

pytest_plugins = ["tracker_service.testing.fixtures"]

CLOCK = SystemClock()


@asynccontextmanager
async def projecting(broker: KafkaBroker, topics: Topics, pool: Pool) -> AsyncIterator[Projector]:
    projector = Projector(broker, topics, Store(pool), Freshness(CLOCK, patience=60), CLOCK)
    running = asyncio.create_task(projector.run())
    try:
        yield projector
    finally:
        projector.stop()
        await running


async def run_tasks(producer: Producer, topics: Topics, count: int, *, name: str = "task") -> None:
    """Write what a client and a worker write of tasks that succeed."""
    lane = topics.lane("media")
    for number in range(count):
        task = TaskRecord(task_id=f"{name}-{number}", task_type="noop", body=b'{"n":1}', submitted_at=CLOCK.now())
        position = await (await producer.send(lane, task.body, key=task.key, headers=task.headers()))
        said = {"task_id": task.task_id, "task_type": "noop", "attempt": 1, "delivery": 1, "worker": "w1"}
        started = msgspec.convert(
            {"event": "STARTED", **said, "at": CLOCK.now(), "topic": lane, "partition": position.partition,
             "offset": position.offset}, Started,
        )  # fmt: skip
        ended = msgspec.convert({"event": "SUCCESS", **said, "at": CLOCK.now(), "started_at": CLOCK.now()}, Succeeded)
        await producer.send(topics.events, encode_event(started), key=task.key)
        await producer.send(topics.events, encode_event(ended), key=task.key)
    await producer.flush()


def successes(pool: Pool, count: int) -> Condition:
    async def enough() -> bool:
        return bool(await pool.fetchval("SELECT count(*) = $1 FROM muster.tasks WHERE state = 'SUCCESS'", count))

    return enough


async def test_a_rebuilt_projection_equals_the_old_one(
    broker: KafkaBroker, topics: Topics, producer: Producer, database: Pool
) -> None:
    await run_tasks(producer, topics, 100)
    async with projecting(broker, topics, database):
        await until(successes(database, 100), "100 tasks projected")
    first = await dump(database)

    await database.execute(
        "TRUNCATE muster.tasks, muster.claims, muster.attempts, muster.hand_backs, muster.progress, muster.offsets"
    )
    async with projecting(broker, topics, database):
        await until(successes(database, 100), "100 tasks projected again")

    assert await dump(database) == first


async def test_a_restart_goes_on_where_it_stopped(
    broker: KafkaBroker, topics: Topics, producer: Producer, database: Pool
) -> None:
    await run_tasks(producer, topics, 20, name="before")
    async with projecting(broker, topics, database):
        await until(successes(database, 20), "20 tasks projected")
    await database.execute("DELETE FROM muster.tasks")

    await run_tasks(producer, topics, 5, name="after")
    async with projecting(broker, topics, database):
        await until(successes(database, 5), "5 tasks projected")

    # Nothing of what was folded before was read again.
    assert await database.fetchval("SELECT count(*) FROM muster.tasks") == 5


async def test_poison_is_skipped_and_everything_else_is_folded(
    broker: KafkaBroker, topics: Topics, producer: Producer, database: Pool
) -> None:
    for topic in (topics.events, topics.retry, topics.dead_letter, topics.control, topics.catalog, topics.workers):
        await producer.send(topic, b"\xff\x00 no json", key=b"\xff", headers=[("ce_id", b"\xff")])
    await producer.send(topics.lane("media"), b"", headers=[("ce_id", b"a\x00b"), ("ce_type", b"no op")])
    await run_tasks(producer, topics, 3)

    async with projecting(broker, topics, database):
        await until(successes(database, 3), "3 tasks projected")


async def test_two_trackers_share_the_work_and_fold_every_record_once(
    broker: KafkaBroker, topics: Topics, producer: Producer, database: Pool
) -> None:
    async with projecting(broker, topics, database):
        await run_tasks(producer, topics, 50, name="one")
        async with projecting(broker, topics, database):
            await run_tasks(producer, topics, 50, name="two")
            await until(successes(database, 100), "100 tasks projected by two")
        await run_tasks(producer, topics, 50, name="three")
        await until(successes(database, 150), "150 tasks projected")

    assert await database.fetchval("SELECT count(*) FROM muster.claims") == 0


async def test_offsets_pass_the_markers_of_transactions(broker: KafkaBroker, topics: Topics, database: Pool) -> None:
    lane = topics.lane("media")
    mover = broker.transactional_producer(f"{topics.prefix}mover")
    await mover.start()
    task = TaskRecord(task_id="moved", task_type="noop", body=b"{}")
    offsets = {TopicPartition(topics.retry, 0): Bookmark(1)}
    await mover.move([(lane, task.key, task.body, task.headers())], offsets, topics.group("scheduler"))
    await mover.stop()

    async def passed() -> bool:
        # The record at 0 and the marker behind it.
        sql = "SELECT max(next_offset) = 2 FROM muster.offsets WHERE topic = $1"
        return bool(await database.fetchval(sql, lane))

    async with projecting(broker, topics, database):
        await until(passed, "the offset behind the marker stored")
