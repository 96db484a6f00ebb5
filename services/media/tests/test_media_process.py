"""A worker process on real Kafka, PostgreSQL and storage server: good files arrive, bad ones end, the worker lives."""

from __future__ import annotations

import asyncio
import base64
import io
import os
import socket
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from muster.adapters.kafka import KafkaBroker
from muster.contracts.events import Succeeded
from muster.settings import KafkaSettings
from muster.testing import Stage, wait_until
from muster.testing.stage import stage_on
from muster_local.cloudinary import CloudinaryAccount, create_app
from PIL import Image
from rotc.connection import connected
from rotc.migrate import migrate

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.e2e]
SECRET = "of-the-tests"
CADET = """
INSERT INTO cadets (id, student_id, first_name, last_name, status, is_profile_completed, is_archived, created_at)
    VALUES (1, 'S-1', 'Ana', 'Cruz', 'Ongoing', false, false, now())
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
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "media_service", env=os.environ | environment)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await asyncio.wait_for(process.wait(), 30)


def photo(orientation: int) -> str:
    exif = Image.Exif()
    exif[0x0112] = orientation
    output = io.BytesIO()
    Image.new("RGB", (400, 200), "olive").save(output, "JPEG", exif=exif)
    return base64.b64encode(output.getvalue()).decode()


def compress(data: str, entity_id: object = 1) -> dict[str, Any]:
    return {"image_data": data, "entity_type": "profile_pic", "entity_id": entity_id}


def kinds(stage: Stage) -> list[str]:
    """The failure kinds of the dead letters so far."""
    records = stage.records(stage.topics.dead_letter)
    return sorted(dict(record.headers).get("dl-kind", b"").decode() for record in records)


async def test_good_files_arrive_bad_ones_end_and_the_worker_lives(
    kafka: str, topic_prefix: str, postgres: str, storage: str
) -> None:
    async with connected(postgres) as connection:
        await migrate(connection)
        await connection.execute(CADET)
    environment = {
        "KAFKA_BOOTSTRAP_SERVERS": kafka,
        "MUSTER_TOPIC_PREFIX": topic_prefix,
        "DATABASE_URL": postgres,
        "CLOUDINARY_CLOUD_NAME": "unit",
        "CLOUDINARY_API_KEY": "key",
        "CLOUDINARY_API_SECRET": SECRET,
        "CLOUDINARY_UPLOAD_PREFIX": storage,
    }
    async with stage_on(KafkaBroker(KafkaSettings(bootstrap_servers=kafka)), topic_prefix) as stage:
        async with worker(environment) as process:
            for bad in (compress("bm90IGEgcGljdHVyZQ=="), compress(photo(1)[:200]), compress(photo(1), 99)):
                await stage.submit("compress_and_upload_image", bad)
            await stage.submit("compress_and_upload_image", compress(photo(1), "one"))
            await stage.put(stage.lane, b"{broken", [("ce_id", b"b1"), ("ce_type", b"compress_and_upload_image")])
            await stage.put(stage.lane, b"{}", [("ce_id", b"b2")])
            good = await stage.submit("compress_and_upload_image", compress(photo(6)))

            await wait_until(lambda: "Succeeded" in stage.said(good), "the good file is stored", 60)
            await wait_until(lambda: len(stage.records(stage.topics.dead_letter)) == 6, "six dead letters", 30)
            assert kinds(stage) == ["invalid"] * 3 + ["permanent"] * 3
            assert process.returncode is None

        assert process.returncode == 0, "SIGTERM drains it"
        [succeeded] = [event for event in stage.events(good) if isinstance(event, Succeeded)]
    async with connected(postgres) as connection:
        url = await connection.fetchval("SELECT profile_pic FROM cadets WHERE id = 1")
    assert url in bytes(succeeded.result).decode()
    async with httpx.AsyncClient(trust_env=False) as client:
        picture = Image.open(io.BytesIO((await client.get(url)).content))
    assert (picture.format, picture.size) == ("JPEG", (200, 400))
