"""How many records a second the tracker folds into PostgreSQL: synthetic lane, STARTED and SUCCESS records, real parts.

`python tests/load/projection_bench.py [TASKS]` with KAFKA_BOOTSTRAP_SERVERS and DATABASE_URL of servers that may be
written to: topics get a prefix of their own, the schema muster must exist. It measures one Projector in this process.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
import uuid
from datetime import UTC, datetime

import msgspec
import uvloop
from muster.adapters.clock import SystemClock
from muster.adapters.kafka import KafkaBroker
from muster.contracts.envelope import TaskRecord
from muster.contracts.events import Started, Succeeded, encode_event
from muster.contracts.topics import Topics
from muster.ports import Position, Producer
from muster.settings import KafkaSettings
from tracker_service.database import open_pool
from tracker_service.projection.freshness import Freshness
from tracker_service.projection.projector import Projector
from tracker_service.projection.store import Store

WORKER = "media@bench-1a2b3c4d"


async def main(tasks: int) -> None:
    topics = Topics(f"bench{uuid.uuid4().hex[:8]}.")
    broker = KafkaBroker(KafkaSettings())
    pool = await open_pool(os.environ["DATABASE_URL"], max_size=4, durable=False)
    await _create(broker, topics)
    await _write(broker, topics, tasks)
    projector = Projector(broker, topics, Store(pool), Freshness(SystemClock(), patience=60), SystemClock())
    cpu, began = time.process_time(), time.perf_counter()
    running = asyncio.create_task(projector.run())
    first = 0.0
    while (folded := await _folded(pool, topics)) < 3 * tasks:
        first = first or (time.perf_counter() if folded else 0.0)
        await asyncio.sleep(0.05)
    ended, cpu = time.perf_counter(), time.process_time() - cpu
    projector.stop()
    await running
    finished = await pool.fetchval("SELECT count(*) FROM muster.tasks WHERE worker = $1 AND state = 'SUCCESS'", WORKER)
    print(  # noqa: T201
        f"{3 * tasks:,} records of {tasks:,} tasks in {ended - began:.1f} s (joining the group included): "
        f"{3 * tasks / (ended - began):,.0f} records/s; from the first batch on "
        f"{3 * tasks / (ended - first):,.0f}/s; {cpu:.1f} s of CPU here; {finished:,} rows are SUCCESS"
    )
    await pool.close()


async def _create(broker: KafkaBroker, topics: Topics) -> None:
    admin = broker.admin()
    await admin.start()
    await admin.apply(topics.specs())
    await admin.stop()


async def _write(broker: KafkaBroker, topics: Topics, tasks: int) -> None:
    """Three records per task, in the order in which a busy system writes them."""
    producer = broker.producer(linger_ms=5)
    await producer.start()
    for _ in range(0, tasks, 1000):
        batch = [_task(number) for number in range(1000)]
        lane = topics.lane("media")
        positions = await asyncio.gather(
            *[await producer.send(lane, task.body, key=task.key, headers=task.headers()) for task in batch]
        )
        await _events(producer, topics, batch, positions)
    await producer.flush()
    await producer.stop()


async def _events(producer: Producer, topics: Topics, tasks: list[TaskRecord], positions: list[Position]) -> None:
    for task, position in zip(tasks, positions, strict=True):
        said = {
            "task_id": task.task_id, "task_type": task.task_type, "attempt": 1, "delivery": 1, "worker": WORKER,
            "at": datetime.now(UTC),
        }  # fmt: skip
        started = Started(**said, topic=position.topic, partition=position.partition, offset=position.offset)  # type: ignore[arg-type]
        ended = Succeeded(**said, started_at=started.at, result=msgspec.Raw(b'{"ok":true}'))  # type: ignore[arg-type]
        await producer.send(topics.events, encode_event(started), key=task.key)
        await producer.send(topics.events, encode_event(ended), key=task.key)


def _task(number: int) -> TaskRecord:
    return TaskRecord(
        task_id=str(uuid.uuid4()), task_type="noop", body=b'{"number":%d}' % number, submitted_at=datetime.now(UTC),
        submitter=1,
    )  # fmt: skip


async def _folded(pool: object, topics: Topics) -> int:
    sql = "SELECT coalesce(sum(next_offset), 0) FROM muster.offsets WHERE topic = ANY($1::text[])"
    return int(await pool.fetchval(sql, [topics.lane("media"), topics.events]))  # type: ignore[attr-defined]


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000))
