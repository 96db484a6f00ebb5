"""The CLI on a real Kafka: topics, catalog and workers without a tracker."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import structlog
from muster.adapters.kafka import KafkaBroker
from muster.cli import app
from muster.contracts.catalog import TaskDescription, encode_description
from muster.contracts.events import Heartbeat, encode_json
from muster.contracts.topics import Topics
from muster.settings import KafkaSettings
from typer.testing import CliRunner

pytestmark = pytest.mark.kafka


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, kafka: str, topic_prefix: str) -> Iterator[Topics]:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", kafka)
    monkeypatch.setenv("MUSTER_TOPIC_PREFIX", topic_prefix)
    monkeypatch.delenv("MUSTER_API_URL", raising=False)
    monkeypatch.setattr(logging, "lastResort", logging.lastResort)
    yield Topics(topic_prefix)
    structlog.reset_defaults()


def call(*arguments: str) -> Any:
    outcome = CliRunner().invoke(app, [*arguments, "--json"])
    assert outcome.exit_code == 0, outcome.output
    return json.loads(outcome.stdout)


def write(kafka: str, topic: str, *records: tuple[str, bytes]) -> None:
    async def work() -> None:
        producer = KafkaBroker(KafkaSettings(bootstrap_servers=kafka)).producer()
        await producer.start()
        for key, value in records:
            await producer.send(topic, value, key=key.encode())
        await producer.stop()

    asyncio.run(work())


def test_topics_are_created_once_and_then_kept(topic_prefix: str) -> None:
    planned = call("topics", "apply", "--dry-run")
    assert {change["action"] for change in planned} == {"create"}
    assert call("topics", "list") == []

    call("topics", "apply")
    assert {change["action"] for change in call("topics", "apply")} == {"keep"}
    listed = {item["topic"]: item for item in call("topics", "list")}
    assert len(listed) == len(planned)
    assert listed[f"{topic_prefix}tasks.media.high"]["partitions"] == 6


def test_a_submission_shows_in_the_list_and_the_catalog_names_its_service(kafka: str, environment: Topics) -> None:
    call("topics", "apply")
    schema = {"properties": {"name": {}, "title": {}}, "required": ["name"]}
    greet = TaskDescription(task_type="greet", service="media", parameters=schema)
    write(kafka, environment.catalog, ("greet", encode_description(greet)))

    call("submit", "greet", "name=Juan", "--lane", "bulk")

    listed = {item["topic"]: item for item in call("topics", "list")}
    assert listed[environment.lane("media", "bulk")]["records"] == 1
    assert [item["service"] for item in call("catalog")] == ["media"]
    assert "name [title]" in CliRunner().invoke(app, ["catalog"]).stdout


def test_workers_are_read_from_their_heartbeats(kafka: str, environment: Topics) -> None:
    call("topics", "apply")
    now = datetime.now(UTC)

    def beat(name: str, age: float, *, leaving: bool = False) -> tuple[str, bytes]:
        return name, encode_json(
            Heartbeat(
                worker=name, service="media", at=now - timedelta(seconds=age), host="h", version="1", slots=4,
                running=2, leaving=leaving,
            )
        )  # fmt: skip

    write(kafka, environment.workers, beat("a", 40), beat("a", 1), beat("b", 60), beat("c", 1, leaving=True))
    found = call("workers")
    assert [(row["worker"], row["alive"]) for row in found] == [("a", True), ("b", False), ("c", False)]
    assert "2/4" in CliRunner().invoke(app, ["workers"]).stdout
