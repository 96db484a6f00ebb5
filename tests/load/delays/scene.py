"""One installation with schedulers of its own: topics, processes that can be killed, records out and in.

What is asked of it is runs.py's.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
import urllib.request
import uuid
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from muster.adapters.kafka import KafkaBroker
from muster.contracts.envelope import TaskRecord
from muster.contracts.errors import BrokerError
from muster.contracts.topics import Topics
from muster.ports import Producer, TopicPartition
from muster.settings import KafkaSettings
from muster_local import processes
from muster_local.ports import LOOPBACK, free_port
from muster_local.processes import ProcessIdentity

DYING = Path(__file__).parents[3] / "services/scheduler/tests/dying_scheduler.py"
READY_SECONDS = 60.0


class Arrival(NamedTuple):
    """A record of the lane: when a worker could read it, and the time that the mover wrote into it."""

    task_id: str
    read: float
    written_ms: int


@dataclass
class Scheduler:
    """One process."""

    identity: ProcessIdentity
    port: int

    @property
    def alive(self) -> bool:
        return self.identity.is_alive()

    @property
    def ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://{LOOPBACK}:{self.port}/readyz", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def end(self, number: signal.Signals = signal.SIGKILL) -> None:
        process = self.identity.process()
        if process is not None:
            process.send_signal(number)
            processes.wait(self.identity, 20)


@dataclass
class Scene:
    """An installation under a prefix of its own, on a Kafka that runs."""

    bootstrap: str
    folder: Path
    topics: Topics = field(default_factory=lambda: Topics(f"w{uuid.uuid4().hex[:6]}."))
    schedulers: list[Scheduler] = field(default_factory=list)
    due: dict[str, float] = field(default_factory=dict)
    arrivals: list[Arrival] = field(default_factory=list)

    @property
    def lane(self) -> str:
        return self.topics.lane("media")

    @property
    def broker(self) -> KafkaBroker:
        return KafkaBroker(KafkaSettings(bootstrap_servers=self.bootstrap))

    async def start_scheduler(self, dies_at: int | None = None) -> Scheduler:
        """Return when it says that it is ready; one that is to die may have done so before."""
        port = free_port()
        env = {name: value for name, value in os.environ.items() if not name.startswith(("MUSTER_", "KAFKA_"))}
        env |= {
            "KAFKA_BOOTSTRAP_SERVERS": self.bootstrap, "MUSTER_TOPIC_PREFIX": self.topics.prefix,
            "MUSTER_HTTP_HOST": LOOPBACK, "MUSTER_HTTP_PORT": str(port), "MUSTER_LOG_LEVEL": "error",
        }  # fmt: skip
        command = ["-m", "scheduler_service"] if dies_at is None else [str(DYING), self.lane, str(dies_at)]
        log = self.folder / f"scheduler-{port}.log"
        scheduler = Scheduler(processes.start([sys.executable, *command], log=log, env=env), port)
        self.schedulers.append(scheduler)
        await self.until(lambda: scheduler.ready or not scheduler.alive, READY_SECONDS)
        return scheduler

    async def until(self, reached: Callable[[], bool], seconds: float) -> bool:
        """Whether it was reached in time; the loop runs on meanwhile."""
        deadline = time.monotonic() + seconds
        while not (done := await asyncio.to_thread(reached)) and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.05)  # the state of another process, which has no event
        return done

    async def send_at_their_times(self, plan: Iterable[tuple[float, str, float]]) -> None:
        """Write each record (instant to write it, id, due time) to `tasks.retry` at its instant."""
        async with self.producer() as producer:
            for write_at, task_id, due in plan:
                if (early := write_at - time.time()) > 0:
                    await asyncio.sleep(early)
                await self.send(producer, task_id, due)
            # Longer than `stop` would wait: the broker may be away.
            await producer.flush()

    async def send(self, producer: Producer, task_id: str, due: float) -> None:
        not_before = datetime.fromtimestamp(due, UTC)
        self.due[task_id] = not_before.timestamp()
        task = TaskRecord(task_id=task_id, task_type="noop", body=b"{}", not_before=not_before, route=self.lane)
        await producer.send(self.topics.retry, task.body, key=task.key, headers=task.headers())

    @asynccontextmanager
    async def producer(self) -> AsyncIterator[Producer]:
        producer = self.broker.producer()
        await producer.start()
        try:
            yield producer
        finally:
            await producer.stop()

    async def listen(self) -> None:
        """Note whatever becomes readable in the lane, until cancelled."""
        consumer = self.broker.consumer()
        consumer.assign([TopicPartition(self.lane, number) for number in range(6)])
        await consumer.start()
        try:
            while True:
                try:
                    records = await consumer.poll(max_records=5_000, timeout=0.05)
                except BrokerError:
                    # The broker is being killed under everybody here.
                    await asyncio.sleep(0.1)
                    continue
                now = time.time()
                self.arrivals += [
                    Arrival(dict(record.headers)["ce_id"].decode(), now, record.timestamp_ms) for record in records
                ]
        finally:
            await consumer.stop()

    def cpu_seconds(self) -> float:
        """What the living schedulers have used."""
        times = [process.cpu_times() for one in self.schedulers if (process := one.identity.process()) is not None]
        return sum(used.user + used.system for used in times)

    @property
    def arrived(self) -> int:
        return len(self.arrivals)


@asynccontextmanager
async def installed(bootstrap: str, folder: Path) -> AsyncIterator[Scene]:
    """A scene with its topics, listening; its schedulers are killed at the end."""
    scene = Scene(bootstrap, folder)
    admin = scene.broker.admin()
    await admin.start()
    await admin.apply(scene.topics.specs())
    await admin.stop()
    listening = asyncio.create_task(scene.listen())
    try:
        yield scene
    finally:
        for scheduler in scene.schedulers:
            scheduler.end()
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
