"""What the scheduler's tests on a real Kafka share: topics, delayed records, what arrived in a lane."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

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
async def delays(kafka: str, topic_prefix: str) -> AsyncIterator[Delays]:
    broker, topics = KafkaBroker(KafkaSettings(bootstrap_servers=kafka)), Topics(topic_prefix)
    admin, producer = broker.admin(), broker.producer()
    await admin.start()
    await admin.apply(_needed(topics))
    await admin.stop()
    await producer.start()
    yield Delays(broker, topics, producer)
    await producer.stop()
