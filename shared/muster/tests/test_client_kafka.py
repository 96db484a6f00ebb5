"""The client on a real Kafka: where records land, and what a caller hears when they cannot."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime

import pytest
from muster.adapters.kafka import KafkaBroker
from muster.client import Client, ClientSettings, prepare
from muster.client.reading import read_to_end
from muster.connect import connect, connect_sync
from muster.contracts.catalog import TaskDescription, encode_description
from muster.contracts.envelope import TaskRecord, parse_task
from muster.contracts.errors import BrokerError, SubmitRefused
from muster.contracts.topics import Topics, TopicSpec
from muster.settings import KafkaSettings

pytestmark = pytest.mark.kafka


@pytest.fixture
def settings(kafka: str, topic_prefix: str) -> ClientSettings:
    return ClientSettings(topic_prefix=topic_prefix, kafka=KafkaSettings(bootstrap_servers=kafka))


@pytest.fixture
def broker(settings: ClientSettings) -> KafkaBroker:
    return KafkaBroker(settings.kafka)


@pytest.fixture
async def topics(broker: KafkaBroker, settings: ClientSettings) -> Topics:
    topics = Topics(settings.topic_prefix)
    names = {*topics.lanes("media"), topics.retry, topics.catalog}
    admin = broker.admin()
    await admin.start()
    await admin.apply([TopicSpec(s.name, s.partitions, s.config) for s in topics.specs() if s.name in names])
    await admin.stop()
    return topics


@pytest.fixture
async def client(settings: ClientSettings, topics: Topics) -> AsyncIterator[Client]:
    async with connect(settings) as client:
        yield client


async def announce(broker: KafkaBroker, topics: Topics, *descriptions: TaskDescription) -> None:
    producer = broker.producer()
    await producer.start()
    for description in descriptions:
        await producer.send(topics.catalog, encode_description(description), key=description.task_type.encode())
    await producer.send(topics.catalog, b"no description", key=b"broken")
    await producer.stop()


async def tasks_in(broker: KafkaBroker, topic: str) -> list[TaskRecord]:
    async with aclosing(read_to_end(broker, topic)) as records:
        return [parse_task(record.headers, record.value) async for record in records]


async def test_a_submission_is_in_its_lane_when_submit_returns(
    client: Client, broker: KafkaBroker, topics: Topics
) -> None:
    result = await client.submit("greet", {"name": "Juan"}, service="media", lane="high")
    (task,) = await tasks_in(broker, topics.lane("media", "high"))
    assert (task.task_id, task.task_type, task.parameters()) == (result.id, "greet", {"name": "Juan"})


async def test_a_delayed_submission_waits_in_the_retry_topic(
    client: Client, broker: KafkaBroker, topics: Topics
) -> None:
    await client.submit("greet", {}, service="media", countdown=3600)
    (task,) = await tasks_in(broker, topics.retry)
    assert task.route == topics.lane("media")
    assert task.not_before is not None
    assert not await tasks_in(broker, topics.lane("media"))


async def test_the_catalog_says_which_service_and_lane(client: Client, broker: KafkaBroker, topics: Topics) -> None:
    greet = TaskDescription(task_type="greet", service="media", parameters={}, default_lane="bulk")
    await announce(broker, topics, greet)
    result = await client.submit("greet", {})
    assert [task.task_id for task in await tasks_in(broker, topics.lane("media", "bulk"))] == [result.id]


async def test_a_type_that_nobody_announced_is_refused(client: Client) -> None:
    with pytest.raises(SubmitRefused, match="no worker has announced the task type greet"):
        await client.submit("greet", {})


async def test_many_submissions_are_pipelined_and_none_is_lost(
    client: Client, broker: KafkaBroker, topics: Topics
) -> None:
    now = datetime.now(UTC)
    wanted = [prepare("greet", {"n": n}, now=now, service="media") for n in range(2000)]
    results = await client.submit_many(wanted)
    stored = await tasks_in(broker, topics.lane("media"))
    assert {task.task_id for task in stored} == {result.id for result in results}
    assert len(stored) == 2000


async def test_a_large_file_fits_into_a_record(client: Client, broker: KafkaBroker, topics: Topics) -> None:
    await client.submit("greet", {"image": b"\xff" * 9_000_000}, service="media")
    (task,) = await tasks_in(broker, topics.lane("media"))
    assert len(task.body) > 12_000_000


def test_the_blocking_client_writes_the_same(settings: ClientSettings, topics: Topics) -> None:
    with connect_sync(settings) as client:
        assert client.submit("greet", {}, service="media").id
        assert client.submit("greet", {}, service="media", task_id="mine").id == "mine"


async def test_a_broker_that_is_not_there_is_one_sentence() -> None:
    settings = ClientSettings(kafka=KafkaSettings(bootstrap_servers="127.0.0.1:1"))
    async with connect(settings) as client:
        with pytest.raises(BrokerError, match=r"127\.0\.0\.1:1"):
            await client.submit("greet", {}, service="media")


async def test_topics_that_were_never_created_are_named(kafka: str) -> None:
    settings = ClientSettings(topic_prefix="never.", kafka=KafkaSettings(bootstrap_servers=kafka))
    async with connect(settings) as client:
        with pytest.raises(BrokerError, match="muster topics apply"):
            await client.submit("greet", {})
