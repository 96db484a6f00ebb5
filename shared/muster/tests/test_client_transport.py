"""The direct way to Kafka, on the log in memory: the catalog's part in it, and what happens when Kafka will not."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest
from muster.adapters.memory import MemoryBroker
from muster.client import Client, ClientSettings, TrackerApi, prepare
from muster.client import catalog as catalog_module
from muster.client.catalog import CatalogReader
from muster.client.heartbeats import read_workers
from muster.client.transports import KafkaTransport
from muster.contracts.catalog import TaskDescription, encode_description
from muster.contracts.errors import BrokerError, SubmitRefused
from muster.contracts.topics import Topics
from muster.ports import Position

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
TOPICS = Topics()


@pytest.fixture
async def broker() -> MemoryBroker:
    broker = MemoryBroker()
    await broker.admin().apply(TOPICS.specs())
    return broker


@pytest.fixture
def client(broker: MemoryBroker) -> Client:
    return Client(KafkaTransport(broker, TOPICS, CatalogReader(broker, TOPICS)), TrackerApi(ClientSettings()))


async def write(broker: MemoryBroker, topic: str, key: str, value: bytes | None) -> Position:
    producer = broker.producer()
    await producer.start()
    return await (await producer.send(topic, value, key=key.encode()))


async def test_a_type_announced_later_is_found_then(
    broker: MemoryBroker, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog_module, "MISS_SECONDS", 0.0)
    with pytest.raises(SubmitRefused, match="no worker has announced"):
        await client.submit("greet", {})
    greet = TaskDescription(task_type="greet", service="media", parameters={})
    await write(broker, TOPICS.catalog, "greet", encode_description(greet))
    await client.submit("greet", {})


async def test_a_withdrawn_type_is_no_longer_in_the_catalog(broker: MemoryBroker, client: Client) -> None:
    greet = TaskDescription(task_type="greet", service="media", parameters={})
    await write(broker, TOPICS.catalog, "greet", encode_description(greet))
    await write(broker, TOPICS.catalog, "greet", None)
    with pytest.raises(SubmitRefused, match="no worker has announced"):
        await client.submit("greet", {})


async def test_a_record_that_kafka_refuses_is_the_callers_error(broker: MemoryBroker, client: Client) -> None:
    broker.fail_next("produce", BrokerError("Kafka refused it: disk full"))
    with pytest.raises(BrokerError, match="disk full"):
        await client.submit("greet", {}, service="media")


async def test_one_refused_record_among_many_is_an_error_of_the_whole(broker: MemoryBroker, client: Client) -> None:
    broker.fail_next("produce", BrokerError("Kafka refused it: disk full"))
    wanted = [prepare("greet", {"n": n}, now=NOW, service="media") for n in range(3)]
    with pytest.raises(BrokerError, match="disk full"):
        await client.submit_many(wanted)


async def test_a_kafka_that_never_acknowledges_is_given_up_on(
    broker: MemoryBroker, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: object, **__: object) -> asyncio.Future[Position]:
        return asyncio.get_running_loop().create_future()

    producer = broker.producer()
    monkeypatch.setattr(type(producer), "send", never)
    with pytest.raises(BrokerError, match=r"did not acknowledge the submission within 0.05 s"):
        await client.submit("greet", {}, service="media", timeout=0.05)


async def test_a_heartbeat_that_cannot_be_read_hides_no_other_worker(broker: MemoryBroker) -> None:
    await write(broker, TOPICS.workers, "odd", b"not a heartbeat")
    assert await read_workers(broker, TOPICS, NOW) == []
