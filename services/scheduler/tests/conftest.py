"""What the scheduler's tests on a real Kafka share: topics, delayed records, what arrived in a lane."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from muster.adapters.kafka import KafkaBroker
from muster.contracts.envelope import TaskRecord
from muster.contracts.schedule import Schedule, encode_schedule
from muster.contracts.topics import DELAYS, Topics, TopicSpec
from muster.ports import Position, Producer, Record, TopicPartition
from muster.settings import KafkaSettings


class Delays:
    """Writes records to `tasks.retry` and reads the lane they go to."""

    def __init__(self, broker: KafkaBroker, topics: Topics, producer: Producer) -> None:
        self.broker, self.topics = broker, topics
        self.lane = topics.lane("media")
        self.due: dict[str, float] = {}
        self._producer = producer
        self._written: list[asyncio.Future[Position]] = []

    async def send(self, task_id: str, seconds: float) -> None:
        due = datetime.fromtimestamp(time.time() + seconds, UTC)
        self.due[task_id] = due.timestamp()
        task = TaskRecord(task_id=task_id, task_type="noop", body=b"{}", not_before=due, route=self.lane, attempt=2)
        await self.send_raw(task.body, task.key, task.headers())

    async def send_raw(self, value: bytes, key: bytes | None, headers: list[tuple[str, bytes]]) -> None:
        self._written.append(await self._producer.send(self.topics.retry, value, key=key, headers=headers))

    async def send_plain(self, task_id: str) -> None:
        """A task that is not delayed, straight into the lane."""
        task = TaskRecord(task_id=task_id, task_type="noop", body=b"{}")
        self._written.append(await self._producer.send(self.lane, task.body, key=task.key, headers=task.headers()))

    async def write_schedule(self, schedule: Schedule) -> None:
        await (await self._producer.send(self.topics.schedules, encode_schedule(schedule), key=schedule.name.encode()))

    async def written(self) -> None:
        await asyncio.gather(*self._written)

    async def arrivals(
        self, enough: Callable[[list[tuple[Record, float]]], bool], timeout: float, topic: str | None = None
    ) -> list[tuple[Record, float]]:
        """Records of the lane and when they could be read, until `enough` of them came or the time is over."""
        topic = topic or self.lane
        consumer = self.broker.consumer()
        consumer.assign([TopicPartition(topic, number) for number in range(6 if topic == self.lane else 3)])
        await consumer.start()
        found: list[tuple[Record, float]] = []
        deadline = time.monotonic() + timeout
        try:
            while not enough(found) and time.monotonic() < deadline:
                records = await consumer.poll(max_records=1000, timeout=0.05)
                now = time.time()
                found += [(record, now) for record in records]
        finally:
            await consumer.stop()
        return found


class Schedulers:
    """Schedulers as processes of their own; what still runs after the test is killed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._started: list[Process] = []

    async def start(self, kafka: str, prefix: str, *command: str) -> Process:
        """Return when it has its assignment; `command` is another way to start one."""
        env = {**os.environ, "KAFKA_BOOTSTRAP_SERVERS": kafka, "MUSTER_TOPIC_PREFIX": prefix}
        # Not a pipe, which fills up when nobody reads it, and stops who writes.
        log = self._folder / f"scheduler-{len(self._started)}.log"
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                sys.executable, *(command or ("-m", "scheduler_service")), env=env, stdout=output, stderr=output
            )
        self._started.append(process)
        await until(lambda: process.returncode is not None or b"membership.assigned" in log.read_bytes(), 60)
        assert b"membership.assigned" in log.read_bytes(), log.read_text()[-3000:]
        return process

    async def end(self, process: Process, number: signal.Signals) -> int:
        """Send the signal; returns the exit code."""
        process.send_signal(number)
        async with asyncio.timeout(60):
            return await process.wait()

    async def kill_all(self) -> None:
        for process in self._started:
            if process.returncode is None:
                process.kill()
                await process.wait()


async def until(ready: Callable[[], bool], timeout: float = 20) -> None:
    async with asyncio.timeout(timeout):
        while not ready():  # noqa: ASYNC110  the state of another part, which has no event
            await asyncio.sleep(0.02)


def task_id_of(record: Record) -> str:
    return dict(record.headers)["ce_id"].decode()


def _needed(topics: Topics) -> list[TopicSpec]:
    names = {topics.retry, topics.schedules, topics.lane("media"), topics.dead_letter}
    names |= {topics.delay(n) for n in DELAYS}
    return [spec for spec in topics.specs() if spec.name in names]


@pytest.fixture
async def schedulers(tmp_path: Path) -> AsyncIterator[Schedulers]:
    schedulers = Schedulers(tmp_path)
    yield schedulers
    await schedulers.kill_all()


@pytest.fixture
async def delays(kafka: str, topic_prefix: str) -> AsyncIterator[Delays]:
    async with installed(kafka, topic_prefix) as delays:
        yield delays


@asynccontextmanager
async def installed(kafka: str, topic_prefix: str) -> AsyncIterator[Delays]:
    """What a scheduler needs, on the broker at `kafka`."""
    broker, topics = KafkaBroker(KafkaSettings(bootstrap_servers=kafka)), Topics(topic_prefix)
    admin, producer = broker.admin(), broker.producer()
    await admin.start()
    await admin.apply(_needed(topics))
    await admin.stop()
    await producer.start()
    yield Delays(broker, topics, producer)
    await producer.stop()
