"""A worker process on real Kafka, PostgreSQL and web host: a letter is read, bad documents end, the worker lives."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from muster.adapters.kafka import KafkaBroker
from muster.settings import KafkaSettings
from muster.testing import Stage, wait_until
from muster.testing.stage import stage_on
from ocr_service.testing.files import encoded, typed_pdf
from ocr_service.testing.letters import draw
from rotc.connection import connected
from rotc.migrate import migrate

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.e2e]
ROWS = """
INSERT INTO users (id, username, email, password, role, is_approved, created_at)
    VALUES (1, 'a', 'a@x', '', 'admin', true, now());
INSERT INTO cadets (id, student_id, first_name, last_name, status, is_profile_completed, is_archived, created_at)
    VALUES (1, 'S-1', 'Ana', 'Cruz', 'Ongoing', false, false, now());
INSERT INTO excuse_letters (id, cadet_id, date_absent, reason, status, created_at, file_url)
    VALUES (1, 1, '2026-01-05', 'ill', 'pending', now(), 'https://files.example/letter');
"""
SAID = "Dear Sir:\n\nI was in the district hospital\nwith a fever on 10 October 2026."
FILES = {
    "/letter": encoded(draw(SAID, 24)),
    "/page": b"<!DOCTYPE html><html><body>Not found</body></html>",
    "/damaged": encoded(draw(SAID, 24), "JPEG")[:400],
    "/empty": b"",
    "/long": typed_pdf(["page"] * 51),
}


@pytest.fixture
def host() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = FILES.get(self.path)
            self.send_response(404 if content is None else 200)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, format: str, *args: object) -> None:
            """Nothing is said on stderr."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@asynccontextmanager
async def worker(environment: dict[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "ocr_service", env=os.environ | environment)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await asyncio.wait_for(process.wait(), 60)


def kinds(stage: Stage) -> list[str]:
    """The failure kinds of the dead letters so far."""
    records = stage.records(stage.topics.dead_letter)
    return sorted(dict(record.headers).get("dl-kind", b"").decode() for record in records)


async def test_a_letter_is_read_bad_documents_end_and_the_worker_lives(
    kafka: str, topic_prefix: str, postgres: str, host: str
) -> None:
    async with connected(postgres) as connection:
        await migrate(connection)
        await connection.execute(ROWS)
    environment = {
        "KAFKA_BOOTSTRAP_SERVERS": kafka,
        "MUSTER_TOPIC_PREFIX": topic_prefix,
        "DATABASE_URL": postgres,
        "OCR_ALLOWED_HOSTS": "127.0.0.1",
        "OCR_ALLOW_PRIVATE_HOSTS": "true",
    }
    read: dict[str, Any] = {"excuse_letter_id": 1, "language": "eng"}
    async with stage_on(KafkaBroker(KafkaSettings(bootstrap_servers=kafka)), topic_prefix, "ocr") as stage:
        async with worker(environment) as process:
            for name in ("page", "damaged", "empty", "long", "nowhere"):
                await stage.submit("process_ocr_document", {"file_url": f"{host}/{name}"})
            await stage.submit("process_ocr_document", {"file_url": "http://10.0.0.1/letter"})
            await stage.submit("process_ocr_document", {"file_url": f"{host}/letter", "language": "../eng"})
            await stage.put(stage.lane, b"{broken", [("ce_id", b"b1"), ("ce_type", b"process_ocr_document")])
            good = await stage.submit("process_ocr_document", {"file_url": f"{host}/letter", **read})

            await wait_until(lambda: "Succeeded" in stage.said(good), "the letter is read", 120)
            await wait_until(lambda: len(stage.records(stage.topics.dead_letter)) == 8, "eight dead letters", 60)
            assert kinds(stage) == ["invalid"] * 2 + ["permanent"] * 6
            assert process.returncode is None

        assert process.returncode == 0, "SIGTERM drains it"
        result = stage.result(good)
    assert result["text"] == SAID
    assert result["pages"] == [{"number": 1, "confidence": result["confidence"], "source": "ocr"}]
    async with connected(postgres) as connection:
        assert await connection.fetchval("SELECT ocr_text FROM excuse_letters WHERE id = 1") == SAID
