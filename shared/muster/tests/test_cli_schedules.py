"""`muster schedules list` on a real Kafka: next and last instants, and what cannot be read."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
import structlog
from muster.adapters.kafka import KafkaBroker
from muster.cli import app
from muster.contracts.schedule import SEEDED_KEY, Fired, Schedule, encode_schedule, fired_key
from muster.contracts.topics import Topics
from muster.settings import KafkaSettings
from typer.testing import CliRunner

pytestmark = pytest.mark.kafka

NIGHTLY = Schedule(name="nightly", task_type="clean", service="notify", cron="0 2 * * *", time_zone="Asia/Manila")
OFF = Schedule(name="off", task_type="clean", service="notify", every=60.0, enabled=False)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, kafka: str, topic_prefix: str) -> Iterator[None]:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", kafka)
    monkeypatch.setenv("MUSTER_TOPIC_PREFIX", topic_prefix)
    monkeypatch.setattr(logging, "lastResort", logging.lastResort)
    yield
    structlog.reset_defaults()


def write(kafka: str, prefix: str, *records: tuple[bytes, bytes | None]) -> None:
    async def work() -> None:
        broker, topics = KafkaBroker(KafkaSettings(bootstrap_servers=kafka)), Topics(prefix)
        admin, producer = broker.admin(), broker.producer()
        await admin.start()
        await admin.apply([spec for spec in topics.specs() if spec.name == topics.schedules])
        await admin.stop()
        await producer.start()
        for key, value in records:
            await producer.send(topics.schedules, value, key=key)
        await producer.stop()

    asyncio.run(work())


def call(*arguments: str) -> str:
    outcome = CliRunner().invoke(app, ["schedules", "list", *arguments])
    assert outcome.exit_code == 0, outcome.output
    return outcome.stdout


def listed(*arguments: str) -> dict[str, Any]:
    return {item["name"]: item for item in json.loads(call("--json", *arguments))}


def test_next_instants_are_told_and_the_last_fire(kafka: str, topic_prefix: str) -> None:
    fired = Fired(schedule="nightly", instant=datetime(2026, 1, 1, 18, tzinfo=UTC), task_id="t", at=datetime.now(UTC))
    write(
        kafka, topic_prefix,
        (b"nightly", encode_schedule(NIGHTLY)), (fired_key("nightly"), msgspec.json.encode(fired)),
        (b"off", encode_schedule(OFF)), (SEEDED_KEY.encode(), b'["nightly"]'),
        (b"broken", b"{"), (b"gone", encode_schedule(OFF)), (b"gone", None),
    )  # fmt: skip
    now = datetime.now(UTC)

    found = listed("--count", "3")

    upcoming = [datetime.fromisoformat(instant) for instant in found["nightly"]["next"]]
    assert set(found) == {"nightly", "off"}
    assert [(instant.hour, instant.minute) for instant in upcoming] == [(18, 0)] * 3
    assert now < upcoming[0] <= now + timedelta(days=1, seconds=60)
    assert found["nightly"]["last"]["instant"] == "2026-01-01T18:00:00Z"
    assert (found["off"]["next"], found["off"]["enabled"]) == ([], False)

    text = call()

    assert "02:00:00" in text
    assert "Fri 2026-01-02 02:00:00" in text
    assert "switched off" in text


def test_an_installation_without_schedules_says_so(kafka: str, topic_prefix: str) -> None:
    write(kafka, topic_prefix)

    assert "There is no schedule" in call()


def test_a_missing_topic_is_one_sentence(topic_prefix: str) -> None:
    outcome = CliRunner().invoke(app, ["schedules", "list"])

    assert outcome.exit_code == 3
    assert "create the topics with `muster topics apply`" in outcome.stderr.replace("\n", " ")
