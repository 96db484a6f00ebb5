"""What Compose and the chart run once, run here against real parts. When it runs: test_compose, test_chart_shape."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from muster.contracts.topics import Topics

TOOLS = Path(sys.executable).parent
Compose = dict[str, Any]
Render = Callable[[dict[str, Any]], list[dict[str, Any]]]


def _run(command: list[str], folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """As in the container: our programs on the path, an empty working folder, a safe search path."""
    search = {"PATH": f"{TOOLS}:{os.environ['PATH']}", "PYTHONSAFEPATH": "1", "DJANGO_SECRET_KEY": "k3" * 32}
    return subprocess.run(  # noqa: S603  our own files
        command, cwd=folder, env=search | environment, check=False, capture_output=True, text=True
    )


def _job(objects: list[dict[str, Any]], name: str) -> list[str]:
    job = next(found for found in objects if found["kind"] == "Job" and found["metadata"]["name"] == f"muster-{name}")
    command: list[str] = job["spec"]["template"]["spec"]["containers"][0]["command"]
    return command


@pytest.mark.kafka
@pytest.mark.parametrize("source", ["compose", "chart"])
async def test_the_topics_job_makes_every_topic_and_may_run_again(
    compose: Compose, render: Render, kafka: str, topic_prefix: str, tmp_path: Path, source: str
) -> None:
    command = compose["services"]["topics"]["entrypoint"] if source == "compose" else _job(render({}), "topics")
    environment = {"KAFKA_BOOTSTRAP_SERVERS": kafka, "MUSTER_TOPIC_PREFIX": topic_prefix}

    for _ in range(2):
        applied = _run(command, tmp_path, **environment)
        assert applied.returncode == 0, applied.stderr

    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        existing = set(await admin.list_topics())
    finally:
        await admin.close()
    assert {spec.name for spec in Topics(topic_prefix).specs()} <= existing


@pytest.mark.postgres
def test_the_migrate_job_of_compose_makes_every_table_and_may_run_again(
    compose: Compose, postgres: str, tmp_path: Path
) -> None:
    for _ in range(2):
        migrated = _run(compose["services"]["migrate"]["entrypoint"], tmp_path, DATABASE_URL=postgres)
        assert migrated.returncode == 0, migrated.stderr


@pytest.mark.postgres
def test_the_migrate_job_of_the_chart_stops_at_a_database_that_is_not_djangos(
    render: Render, postgres: str, tmp_path: Path
) -> None:
    stopped = _run(_job(render({}), "migrate"), tmp_path, DATABASE_URL=postgres)

    assert stopped.returncode == 1
    assert "cadets" in stopped.stdout + stopped.stderr


@pytest.mark.postgres
def test_the_migrate_job_of_the_chart_passes_a_complete_database(render: Render, postgres: str, tmp_path: Path) -> None:
    made = _run(
        _job(render({"jobs": {"migrate": {"djangoTables": "migrate"}}}), "migrate"), tmp_path, DATABASE_URL=postgres
    )
    assert made.returncode == 0, made.stderr

    checked = _run(_job(render({}), "migrate"), tmp_path, DATABASE_URL=postgres)

    assert checked.returncode == 0, checked.stdout + checked.stderr
