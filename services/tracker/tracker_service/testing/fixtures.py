"""Fixtures: parts of a tracker on the real Kafka and PostgreSQL of the test run. Holds no test.

A test module names it in `pytest_plugins`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from muster.adapters.kafka import KafkaBroker
from muster.contracts.topics import Topics
from muster.ports import Producer
from muster.settings import KafkaSettings, Settings
from muster.testing.stage import specs_without_delays

from tracker_service.database import Pool, open_pool
from tracker_service.schema import migrate


@pytest.fixture
async def database(postgres: str) -> AsyncIterator[Pool]:
    """A database with the schema muster."""
    pool = await open_pool(postgres, max_size=6, durable=False)
    async with pool.acquire() as connection:
        await migrate(connection)
    yield pool
    await pool.close()


@pytest.fixture
def settings(kafka: str, postgres: str, topic_prefix: str) -> Settings:
    """Times short enough for a test, in the same order as the real ones."""
    return Settings(
        topic_prefix=topic_prefix, beat_seconds=0.1, fence_seconds=1.0, lease_seconds=1.5, worker_name="test",
        database_url=postgres, kafka=KafkaSettings(bootstrap_servers=kafka),
    )  # fmt: skip


@pytest.fixture
async def broker(settings: Settings) -> KafkaBroker:
    """The broker of the test run, with this test's topics."""
    broker = KafkaBroker(settings.kafka)
    admin = broker.admin()
    await admin.start()
    await admin.apply(specs_without_delays(Topics(settings.topic_prefix)))
    await admin.stop()
    return broker


@pytest.fixture
async def producer(broker: KafkaBroker) -> AsyncIterator[Producer]:
    producer = broker.producer(linger_ms=0)
    await producer.start()
    yield producer
    await producer.stop()


@pytest.fixture
def topics(settings: Settings) -> Topics:
    return Topics(settings.topic_prefix)
