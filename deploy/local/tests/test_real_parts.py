"""The fixtures every other test stands on: a real broker, a real database, nothing shared between tests."""

import asyncio

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import UnknownTopicOrPartitionError
from muster_local.postgres import PostgresServer


@pytest.mark.kafka
async def test_a_transaction_written_to_the_broker_is_read_back(kafka: str, topic_prefix: str) -> None:
    topic = f"{topic_prefix}numbers"
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    await admin.create_topics([NewTopic(topic, num_partitions=2, replication_factor=1)])
    await admin.close()

    producer = AIOKafkaProducer(bootstrap_servers=kafka, transactional_id=f"{topic_prefix}producer")
    async with producer, producer.transaction():
        await producer.send_and_wait(topic, b"one")

    async with AIOKafkaConsumer(
        topic, bootstrap_servers=kafka, auto_offset_reset="earliest", isolation_level="read_committed"
    ) as consumer:
        record = await asyncio.wait_for(consumer.getone(), 20)
    assert record.value == b"one"


@pytest.mark.kafka
async def test_a_topic_nobody_declared_is_not_made(kafka: str, topic_prefix: str) -> None:
    name = f"{topic_prefix}typing-error"
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    [described] = await admin.describe_topics([name])
    topics = await admin.list_topics()
    await admin.close()

    assert described["error_code"] == UnknownTopicOrPartitionError.errno
    assert name not in topics


@pytest.mark.postgres
@pytest.mark.parametrize("turn", [1, 2])
async def test_each_test_has_a_database_of_its_own(postgres: str, turn: int) -> None:
    connection = await asyncpg.connect(postgres)
    try:
        await connection.execute("CREATE TABLE only_once (turn int)")
        await connection.execute("INSERT INTO only_once VALUES ($1)", turn)
        assert await connection.fetchval("SELECT turn FROM only_once") == turn
    finally:
        await connection.close()


@pytest.mark.postgres
async def test_the_server_wants_the_password(postgres_server: PostgresServer) -> None:
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(postgres_server.dsn().replace(postgres_server.password, "guess"))
