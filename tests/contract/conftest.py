"""The scene of the broker contract: one broker of each kind, and short ways to write and read. Holds no test."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, field
from typing import Any

import pytest
from muster.adapters.kafka import KafkaBroker
from muster.adapters.memory import MemoryBroker
from muster.contracts.topics import MAX_RECORD_BYTES, TopicSpec
from muster.ports import Broker, Consumer, Headers, Position, Producer, Record, TopicPartition
from muster.settings import KafkaSettings

SESSION_SECONDS = 6.0


@dataclass
class Story:
    """A rebalance listener that writes down what happened to it."""

    said: list[tuple[str, frozenset[TopicPartition]]] = field(default_factory=list)
    #: Called with the name of the callback, inside it.
    during: Any = None

    async def on_revoked(self, partitions: Collection[TopicPartition]) -> None:
        await self._say("revoked", partitions)

    async def on_assigned(self, partitions: Collection[TopicPartition]) -> None:
        await self._say("assigned", partitions)

    async def _say(self, what: str, partitions: Collection[TopicPartition]) -> None:
        self.said.append((what, frozenset(partitions)))
        if self.during is not None:
            await self.during(what)


class Scene:
    """A broker, and everything that was opened on it, which is closed at the end."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.prefix = f"t{uuid.uuid4().hex[:7]}."
        self._open: list[Any] = []

    async def opened(self, client: Any) -> Any:
        await client.start()
        self._open.append(client)
        return client

    async def close(self) -> None:
        while self._open:
            await self._open.pop().stop()

    async def topic(self, name: str = "lane", partitions: int = 1, max_bytes: int = MAX_RECORD_BYTES) -> str:
        spec = TopicSpec(self.prefix + name, partitions, {"max.message.bytes": str(max_bytes)})
        admin = await self.opened(self.broker.admin())
        await admin.apply([spec])
        return spec.name

    async def producer(self) -> Producer:
        producer: Producer = await self.opened(self.broker.producer(linger_ms=0))
        return producer

    async def write(
        self, topic: str, *values: bytes | None, key: bytes | None = b"k", headers: Headers = ()
    ) -> list[Position]:
        producer = await self.producer()
        return list(await asyncio.gather(*[await producer.send(topic, v, key=key, headers=headers) for v in values]))

    async def reader(self, topic: str, *numbers: int, from_beginning: bool = True) -> Consumer:
        """A reader without a group, of partition 0 unless told otherwise."""
        reader = self.broker.consumer(from_beginning=from_beginning)
        reader.assign([TopicPartition(topic, number) for number in numbers or (0,)])
        opened: Consumer = await self.opened(reader)
        return opened

    async def member(self, topic: str, story: Story | None = None, session: float = SESSION_SECONDS) -> Consumer:
        """A member of the scene's one group; `session` in seconds."""
        member = self.broker.consumer(group=self.group, session_timeout=session)
        member.subscribe([topic], story)
        opened: Consumer = await self.opened(member)
        return opened

    async def leave(self, member: Consumer) -> None:
        self._open.remove(member)
        await member.stop()

    @property
    def group(self) -> str:
        return self.prefix + "group"

    @staticmethod
    def story() -> Story:
        return Story()

    @staticmethod
    async def read(consumer: Consumer, count: int, seconds: float = 60.0, **options: Any) -> list[Record]:
        """Poll until `count` records have come; fail when they do not come in time."""
        records: list[Record] = []
        deadline = time.monotonic() + seconds
        while len(records) < count:
            if time.monotonic() > deadline:
                raise AssertionError(f"{len(records)} of {count} records came within {seconds:g} s")
            records += await consumer.poll(timeout=0.2, **options)
        return records

    @staticmethod
    async def shared_out(members: list[Consumer], partitions: int, seconds: float = 30.0) -> None:
        """Return when the members own `partitions` between them, everybody at least one and none twice."""
        deadline = time.monotonic() + seconds
        while True:
            owned = [member.assignment() for member in members]
            if all(owned) and len(frozenset().union(*owned)) == sum(map(len, owned)) == partitions:
                return
            if time.monotonic() > deadline:
                raise AssertionError(f"the partitions were not shared out within {seconds:g} s: {owned}")
            await asyncio.gather(*(member.poll(timeout=0.05, only=()) for member in members))


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.kafka)])
async def scene(request: pytest.FixtureRequest) -> AsyncIterator[Scene]:
    if request.param == "memory":
        scene = Scene(MemoryBroker())
    else:
        scene = Scene(KafkaBroker(KafkaSettings(bootstrap_servers=request.getfixturevalue("kafka"))))
    yield scene
    await scene.close()
