"""`muster resign` on a real Kafka: what is kept for ever outlives the key that signed it."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator

import pytest
import structlog
from muster.adapters.signed import broker_of
from muster.cli import app
from muster.client.reading import read_to_end
from muster.contracts.topics import Topics
from muster.ports import Record
from muster.settings import KafkaSettings, SigningSettings
from typer.testing import CliRunner

pytestmark = pytest.mark.kafka
K1, K2 = f"k1:{'1' * 64}", f"k2:{'2' * 64}"


@pytest.fixture(autouse=True)
def topics(monkeypatch: pytest.MonkeyPatch, kafka: str, topic_prefix: str) -> Iterator[Topics]:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", kafka)
    monkeypatch.setenv("MUSTER_TOPIC_PREFIX", topic_prefix)
    monkeypatch.setattr(logging, "lastResort", logging.lastResort)
    yield Topics(topic_prefix)
    structlog.reset_defaults()


def write(topics: Topics, keys: str | None, *records: tuple[str, bytes, bytes | None]) -> None:
    async def work() -> None:
        broker = broker_of(KafkaSettings(), SigningSettings(signing_keys=keys), topics.prefix)
        admin, producer = broker.admin(), broker.producer()
        await admin.start()
        await admin.apply([spec for spec in topics.specs() if spec.name in (topics.control, topics.schedules)])
        await admin.stop()
        await producer.start()
        for topic, key, value in records:
            await producer.send(topic, value, key=key)
        await producer.stop()

    asyncio.run(work())


def believed(topics: Topics, topic: str, keys: str) -> dict[bytes | None, bytes | None]:
    """The latest value of each key, as who has these keys reads it."""

    async def work() -> list[Record]:
        broker = broker_of(KafkaSettings(), SigningSettings(signing_keys=keys), topics.prefix)
        return [record async for record in read_to_end(broker, topic)]

    return {record.key: record.value for record in asyncio.run(work())}


def test_what_is_kept_is_signed_with_the_new_key_and_what_was_not_believed_stays_so(
    monkeypatch: pytest.MonkeyPatch, topics: Topics
) -> None:
    write(
        topics, K1, (topics.schedules, b"nightly", b"{}"), (topics.control, b"t1", b"{}"), (topics.control, b"t2", None)
    )
    write(topics, None, (topics.control, b"forged", b"{}"))
    monkeypatch.setenv("MUSTER_SIGNING_KEYS", f"{K2},{K1}")
    assert believed(topics, topics.schedules, K2) == {}

    first, second = (CliRunner().invoke(app, ["resign", "--json"]) for _ in range(2))

    assert json.loads(first.stdout) == {topics.control: 2, topics.schedules: 1}
    assert json.loads(second.stdout) == {topics.control: 0, topics.schedules: 0}
    assert believed(topics, topics.schedules, K2) == {b"nightly": b"{}"}
    assert believed(topics, topics.control, K2) == {b"t1": b"{}", b"t2": None}


def test_without_a_key_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MUSTER_SIGNING_KEYS", raising=False)

    outcome = CliRunner().invoke(app, ["resign"])

    assert outcome.exit_code == 2
    assert "MUSTER_SIGNING_KEYS is not set" in outcome.stderr
