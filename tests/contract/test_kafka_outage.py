"""What the Kafka adapter does while there is no broker, and after it is back. A broker of its own, killed for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from muster.adapters import kafka_consumer, kafka_producer, kafka_transaction
from muster.adapters.kafka import KafkaBroker
from muster.contracts.errors import BrokerError, CommitRefused
from muster.contracts.topics import TopicSpec
from muster.ports import Consumer, TopicPartition
from muster.settings import KafkaSettings
from muster_local.home import cache
from muster_local.kafka import KafkaOptions, KafkaServer, start_kafka
from muster_local.ports import free_port

pytestmark = pytest.mark.kafka

LANE = TopicPartition("lane", 0)


class Plug:
    """A broker that can be pulled out and put in again, with its data and its address."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._options = KafkaOptions(port=free_port(), heap_megabytes=384, quick_compiler=True)
        self.server: KafkaServer | None = None

    def put_in(self) -> KafkaBroker:
        self.server = start_kafka(self._folder, cache(), self._options)
        return KafkaBroker(KafkaSettings(bootstrap_servers=self.server.bootstrap))

    def pull(self) -> None:
        if self.server is not None:
            self.server.stop()
        self.server = None


@pytest.fixture
def plug(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Plug]:
    monkeypatch.setattr(kafka_consumer, "COMMIT_SECONDS", 2.0)
    monkeypatch.setattr(kafka_producer, "STOP_SECONDS", 2.0)
    monkeypatch.setattr(kafka_transaction, "MOVE_SECONDS", 1.0)
    monkeypatch.setattr(kafka_transaction, "ABORT_SECONDS", 1.0)
    plug = Plug(tmp_path)
    yield plug
    plug.pull()


async def lane(broker: KafkaBroker) -> None:
    admin = broker.admin()
    await admin.start()
    await admin.apply([TopicSpec("lane", 1)])
    await admin.stop()


async def member(broker: KafkaBroker) -> Consumer:
    consumer = broker.consumer(group="g")
    consumer.subscribe(["lane"])
    await consumer.start()
    return consumer


async def committed(consumer: Consumer, offset: int) -> bool:
    """False while a broker that has just come back does not answer in time, or has the member join anew."""
    try:
        await consumer.commit({LANE: offset})
    except BrokerError:
        return False
    return True


async def test_an_outage_loses_nothing_and_every_wait_has_an_end(plug: Plug) -> None:
    broker = plug.put_in()
    await lane(broker)
    producer, mover, consumer = broker.producer(), broker.transactional_producer("m"), await member(broker)
    await producer.start()
    await mover.start()
    await (await producer.send("lane", b"before", key=b"k"))
    assert len(await consumer.poll(timeout=60)) == 1

    plug.pull()
    waiting = await producer.send("lane", b"during", key=b"k")
    began = time.monotonic()
    assert await consumer.poll(timeout=0.5) == []
    with pytest.raises(BrokerError, match="unknown") as unknown:
        await consumer.commit({LANE: 1})
    with pytest.raises(BrokerError, match="no answer in time"):
        await mover.move([("lane", b"k", b"moved", ())], {LANE: 1}, "other")
    assert not isinstance(unknown.value, CommitRefused)
    assert time.monotonic() - began < 60
    assert not waiting.done()

    plug.put_in()
    async with asyncio.timeout(90):
        assert (await waiting).offset >= 1
        polled: list[bytes | None] = []
        while b"during" not in polled:
            polled += [record.value for record in await consumer.poll(timeout=0.5)]
        while not await committed(consumer, 2):
            await consumer.poll(timeout=0.5)
    for client in (producer, mover, consumer):
        await client.stop()


async def test_clients_can_be_stopped_without_a_broker_and_no_future_stays_open(plug: Plug) -> None:
    broker = plug.put_in()
    await lane(broker)
    producer, consumer = broker.producer(), await member(broker)
    await producer.start()
    await (await producer.send("lane", b"before", key=b"k"))
    await consumer.poll(timeout=1)

    plug.pull()
    never = await producer.send("lane", b"never", key=b"k")
    await asyncio.sleep(0.3)  # let the fetches of the consumer run into the void

    async with asyncio.timeout(60):
        await consumer.stop()
        with pytest.raises(BrokerError, match="last records"):
            await producer.stop()
    with pytest.raises(BrokerError):
        await never


async def test_the_group_goes_on_with_committed_offsets_after_a_restart(plug: Plug) -> None:
    broker = plug.put_in()
    await lane(broker)
    producer = broker.producer()
    await producer.start()
    for _ in range(3):
        await (await producer.send("lane", b"x", key=b"k"))
    first = await member(broker)
    assert await committed(first, 2)
    await producer.stop()
    await first.stop()

    plug.pull()
    second = await member(plug.put_in())
    records: list[int] = []
    async with asyncio.timeout(60):
        while not records:
            records = [record.offset for record in await second.poll(timeout=1)]
    await second.stop()

    assert records == [2]
