"""Whether a worker's memory stays flat: its RSS after 20,000, 100,000 and 200,000 tasks, with a verdict.

`python tests/load/memory_bench.py [TASKS]`, 200,000 unless told otherwise, on a Kafka of its own. Exits with 1 when the
worker grew by more than MAX_GROWTH_MB between the first figure and the last. Each task has a body, a key and progress.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import uuid
from collections.abc import Mapping
from pathlib import Path

import msgspec
import psutil
import uvloop
from muster.adapters.kafka import KafkaBroker
from muster.contracts.envelope import TaskRecord
from muster.contracts.errors import BrokerError
from muster.contracts.topics import Topics
from muster.ports import Admin, Producer
from muster.settings import KafkaSettings
from muster_local import processes
from muster_local.home import cache
from muster_local.kafka import start_kafka
from muster_local.processes import ProcessIdentity

WORKER = Path(__file__).with_name("memory_worker.py")
#: A leak of 100 bytes a task is 18 MB over 180,000 tasks; what an allocator and its arenas move is less than this.
MAX_GROWTH_MB = 15.0
LOOKS = (0.1, 0.5, 1.0)
BATCH = 2000
STALLED_SECONDS = 120.0
_MB = 1024 * 1024


async def main(tasks: int) -> int:
    with tempfile.TemporaryDirectory() as folder:
        kafka = start_kafka(Path(folder) / "kafka", cache())
        worker: ProcessIdentity | None = None
        try:
            broker, topics = KafkaBroker(KafkaSettings(bootstrap_servers=kafka.bootstrap)), Topics()
            admin = broker.admin()
            await admin.start()
            await admin.apply(topics.specs())
            environment = _environment(kafka.bootstrap)
            worker = processes.start([sys.executable, str(WORKER)], log=Path(folder) / "worker.log", env=environment)
            figures = await _measure(broker, admin, topics, worker, tasks)
            await admin.stop()
        finally:
            if worker is not None:
                processes.stop(worker)
            processes.stop(kafka.identity)
    return _verdict(figures)


async def _measure(
    broker: KafkaBroker, admin: Admin, topics: Topics, worker: ProcessIdentity, tasks: int
) -> dict[int, float]:
    producer = broker.producer(linger_ms=5)
    await producer.start()
    figures: dict[int, float] = {}
    done = 0
    for look in LOOKS:
        wanted = int(tasks * look)
        while done < wanted:
            count = min(BATCH, wanted - done)
            await _submit(producer, topics, count)
            done += count
            await _ran(admin, topics, done)
        figures[done] = _rss(worker)
        print(f"after {done:>9,} tasks: {figures[done]:6.1f} MB", flush=True)  # noqa: T201
    await producer.stop()
    return figures


async def _submit(producer: Producer, topics: Topics, count: int) -> None:
    body = msgspec.json.encode({"text": "x" * 500})
    for _ in range(count):
        task = TaskRecord(task_id=str(uuid.uuid4()), task_type="note", body=body)
        await producer.send(topics.lane("media"), task.body, key=task.key, headers=task.headers())
    await producer.flush()


async def _ran(admin: Admin, topics: Topics, count: int) -> None:
    """Return when the worker has accepted `count` tasks: it accepts no more than it has slots for."""
    deadline = asyncio.get_running_loop().time() + STALLED_SECONDS
    while await _accepted(admin, topics) < count:
        if asyncio.get_running_loop().time() > deadline:
            raise TimeoutError(f"the worker did not accept {count:,} tasks within {STALLED_SECONDS:g} s")
        await asyncio.sleep(0.05)


async def _accepted(admin: Admin, topics: Topics) -> int:
    try:
        return sum((await admin.committed(topics.group("media"))).values())
    except BrokerError:
        return 0  # a new Kafka knows no group before its first member


def _rss(worker: ProcessIdentity) -> float:
    process = worker.process()
    if process is None:
        raise RuntimeError("the worker is gone")
    return float(psutil.Process(process.pid).memory_info().rss) / _MB


def _verdict(figures: Mapping[int, float]) -> int:
    first, last = min(figures), max(figures)
    grown = figures[last] - figures[first]
    verdict = "flat" if grown <= MAX_GROWTH_MB else "it GROWS"
    print(f"grown by {grown:.1f} MB over {last - first:,} tasks (bound {MAX_GROWTH_MB:g} MB): {verdict}")  # noqa: T201
    return 0 if grown <= MAX_GROWTH_MB else 1


def _environment(bootstrap: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MUSTER_", "KAFKA_"))}
    return kept | {"KAFKA_BOOTSTRAP_SERVERS": bootstrap, "MUSTER_SLOTS": "64", "MUSTER_LOG_LEVEL": "warning"}


if __name__ == "__main__":
    sys.exit(uvloop.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 200_000)))
