"""A worker process on real Kafka, PostgreSQL and storage server: a report arrives, bad orders end, the worker lives."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pypdfium2
import pytest
import uvicorn
from muster.adapters.kafka import KafkaBroker
from muster.settings import KafkaSettings
from muster.testing import Stage, wait_until
from muster.testing.stage import stage_on
from muster_local.cloudinary import CloudinaryAccount, create_app
from rotc.connection import connected
from rotc.migrate import migrate

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.e2e]
SECRET = "of-the-tests"
ROWS = """
INSERT INTO users (id, username, email, password, role, is_approved, created_at) VALUES
    (1, 'a', 'a@x', '', 'admin', true, now()), (2, 'c', 'c@x', '', 'cadet', true, now());
INSERT INTO cadets (id, student_id, first_name, last_name, status, is_profile_completed, is_archived, created_at)
    VALUES (1, 'S-1', 'Ana', 'Peña <b>', 'Ongoing', false, false, now());
"""


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[str]:
    app = create_app(CloudinaryAccount("unit", "key", SECRET), tmp_path)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join()


@asynccontextmanager
async def worker(environment: dict[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "reports_service", env=os.environ | environment
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await asyncio.wait_for(process.wait(), 60)


def report(kind: str = "grades", user_id: int = 1, **filters: Any) -> dict[str, Any]:
    return {"report_type": kind, "filters": filters, "user_id": user_id}


def kinds(stage: Stage) -> list[str]:
    """The failure kinds of the dead letters so far."""
    records = stage.records(stage.topics.dead_letter)
    return sorted(dict(record.headers).get("dl-kind", b"").decode() for record in records)


async def test_a_report_arrives_bad_orders_end_and_the_worker_lives(
    kafka: str, topic_prefix: str, postgres: str, storage: str
) -> None:
    async with connected(postgres) as connection:
        await migrate(connection)
        await connection.execute(ROWS)
    environment = {
        "KAFKA_BOOTSTRAP_SERVERS": kafka,
        "MUSTER_TOPIC_PREFIX": topic_prefix,
        "DATABASE_URL": postgres,
        "CLOUDINARY_CLOUD_NAME": "unit",
        "CLOUDINARY_API_KEY": "key",
        "CLOUDINARY_API_SECRET": SECRET,
        "CLOUDINARY_UPLOAD_PREFIX": storage,
        "CERTIFICATE_KEYS": "k" * 32,
    }
    async with stage_on(KafkaBroker(KafkaSettings(bootstrap_servers=kafka)), topic_prefix, "reports") as stage:
        async with worker(environment) as process:
            for bad in (report("cadet_profile", cadet_id=9), report(user_id=2), report("unheard-of"), report(page=1)):
                await stage.submit("generate_pdf_report", bad)
            await stage.put(stage.lane, b"{broken", [("ce_id", b"b1"), ("ce_type", b"generate_pdf_report")])
            good = await stage.submit("generate_pdf_report", report())

            await wait_until(lambda: "Succeeded" in stage.said(good), "the good report is stored", 120)
            await wait_until(lambda: len(stage.records(stage.topics.dead_letter)) == 5, "five dead letters", 60)
            assert kinds(stage) == ["invalid"] * 3 + ["permanent"] * 2
            assert process.returncode is None

        assert process.returncode == 0, "SIGTERM drains it"
        result = stage.result(good)
    async with connected(postgres) as connection:
        told = await connection.fetch("SELECT user_id, message FROM notifications")
    assert [tuple(row) for row in told] == [(1, f"Your grades report is ready: {result['url']}")]
    async with httpx.AsyncClient(trust_env=False) as client:
        document = pypdfium2.PdfDocument((await client.get(result["url"])).content)
    assert "Peña <b>, Ana" in document[0].get_textpage().get_text_range()
    document.close()
