"""Letters and papers are handed to their services through the API of a whole tracker, on real Kafka and PostgreSQL."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import httpx
import jwt
import msgspec
import pytest
from muster.adapters.clock import SystemClock
from muster.adapters.kafka import KafkaBroker
from muster.client.reading import read_to_end
from muster.contracts.catalog import TaskDescription, encode_description
from muster.contracts.envelope import parse_task
from muster.contracts.topics import Topics
from muster.ports import Producer
from muster.settings import Settings
from muster_local.ports import free_port
from pydantic import SecretStr
from rotc.migrate import migrate
from tracker_service.database import Pool
from tracker_service.service import Tracker
from tracker_service.settings import TrackerSettings
from tracker_service.testing.until import until

pytest_plugins = ["tracker_service.testing.fixtures"]
pytestmark = [pytest.mark.kafka, pytest.mark.postgres]

SECRET = "of-these-tests-and-long-enough-to-be-taken-for-a-key-0123456789"
ADMIN, OWNER, OTHER = 1, 2, 3
URL = "https://files.example/letter.jpg"
ROWS = """
INSERT INTO cadets (id, student_id, first_name, last_name, status, is_profile_completed, is_archived, created_at)
    SELECT n, 'S-' || n, 'Ana', 'Cruz', 'Ongoing', false, false, now() FROM generate_series(1, 2) n;
INSERT INTO users (id, username, email, password, role, is_approved, cadet_id, created_at) VALUES
    (1, 'a', 'a@x', '', 'admin', true, null, now()), (2, 'c', 'c@x', '', 'cadet', true, 1, now()),
    (3, 'd', 'd@x', '', 'cadet', true, 2, now());
INSERT INTO excuse_letters (id, cadet_id, date_absent, reason, status, created_at, file_url, ocr_processed_at) VALUES
    (1, 1, '2026-01-05', 'ill', 'pending', now(), 'https://files.example/letter.jpg', null),
    (2, 1, '2026-01-05', 'ill', 'pending', now(), null, null),
    (3, 1, '2026-01-05', 'ill', 'pending', now(), 'https://files.example/letter.jpg', now());
"""
ANY = {"type": "object"}
STAFF = ("admin", "training_staff")
TYPES = [
    TaskDescription(task_type="batch_generate_cadet_pdfs", service="reports", parameters=ANY, roles=STAFF),
    TaskDescription(task_type="batch_generate_certificates", service="reports", parameters=ANY, roles=STAFF),
    TaskDescription(task_type="process_ocr_document", service="ocr", parameters=ANY),
    TaskDescription(task_type="batch_process_ocr", service="ocr", parameters=ANY, roles=STAFF),
]


def as_user(user_id: int) -> dict[str, str]:
    claims = {"token_type": "access", "custom_user_id": user_id, "exp": int(time.time()) + 600}
    return {"Authorization": f"Bearer {jwt.encode(claims, SECRET, 'HS256')}"}


@pytest.fixture
async def http(
    database: Pool, broker: KafkaBroker, producer: Producer, topics: Topics, settings: Settings
) -> AsyncIterator[httpx.AsyncClient]:
    async with database.acquire() as connection:
        await migrate(connection)
        await connection.execute(ROWS)
    for described in TYPES:
        sent = await producer.send(topics.catalog, encode_description(described), key=described.task_type.encode())
        await sent
    port = free_port()
    stop = asyncio.Event()
    own = TrackerSettings(http_host="127.0.0.1", http_port=port, django_secret_key=SecretStr(SECRET))
    running = asyncio.create_task(Tracker(settings, own, broker, SystemClock()).run(stop))
    client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}/api", trust_env=False, timeout=40)

    async def ready() -> bool:
        try:
            catalog = (await client.get("/catalog", headers=as_user(ADMIN))).json()
        except httpx.TransportError:
            return False
        return len(catalog.get("task_types", ())) == len(TYPES)

    await until(ready, "the tracker answers and knows the catalog")
    yield client
    await client.aclose()
    stop.set()
    await asyncio.wait_for(running, 120)


async def test_a_letter_is_handed_to_the_ocr_service_by_those_who_may(
    http: httpx.AsyncClient, broker: KafkaBroker, topics: Topics
) -> None:
    answers = [
        await http.post(f"/excuse-letters/{letter}/process-ocr/", headers=as_user(user))
        for user, letter in [(OWNER, 1), (OTHER, 1), (ADMIN, 99), (ADMIN, 2), (ADMIN, 3)]
    ]

    assert [answer.status_code for answer in answers] == [202, 404, 404, 400, 200]
    body = answers[0].json()
    assert body["excuse_letter_id"] == 1
    assert answers[4].json()["message"] == "OCR already processed"
    [record] = [record async for record in read_to_end(broker, topics.lane("ocr"))]
    task = parse_task(record.headers, record.value)
    assert (task.task_id, task.task_type, task.submitter) == (body["task_id"], "process_ocr_document", OWNER)
    assert msgspec.json.decode(task.body) == {"file_url": URL, "excuse_letter_id": 1}


async def test_many_letters_are_handed_over_by_staff_alone(
    http: httpx.AsyncClient, broker: KafkaBroker, topics: Topics
) -> None:
    documents = {"documents": [{"file_url": URL, "excuse_letter_id": 1}, {"file_url": URL}]}

    accepted = await http.post("/ocr/batch", json=documents, headers=as_user(ADMIN))
    refused = await http.post("/ocr/batch", json=documents, headers=as_user(OWNER))
    empty = await http.post("/ocr/batch", json={"documents": []}, headers=as_user(ADMIN))

    assert (accepted.status_code, refused.status_code, empty.status_code) == (202, 403, 422)
    body = accepted.json()
    assert (body["total_documents"], body["status"]) == (2, "queued")
    [record] = [record async for record in read_to_end(broker, topics.lane("ocr"))]
    task = parse_task(record.headers, record.value)
    assert task.task_id == body["task_id"]
    pairs = msgspec.json.decode(task.body)["file_urls_and_ids"]
    assert [pair["excuse_letter_id"] for pair in pairs] == [1, None]


async def test_papers_are_asked_for_by_staff_and_go_to_who_asked(
    http: httpx.AsyncClient, broker: KafkaBroker, topics: Topics
) -> None:
    names = {"activity_id": 4, "cadet_names": ["Ana Cruz", " Ben <b> "]}

    profiles = await http.post("/reports/batch/cadets/", json={"cadet_ids": [1, 2]}, headers=as_user(ADMIN))
    certificates = await http.post("/reports/batch/certificates", json=names, headers=as_user(ADMIN))
    refused = [
        (await http.post(path, json=body, headers=as_user(user))).status_code
        for path, body, user in [
            ("/reports/batch/cadets", {"cadet_ids": [1]}, OWNER),
            ("/reports/batch/cadets", {"cadet_ids": list(range(1, 102))}, ADMIN),
            ("/reports/batch/certificates", {"activity_id": 0, "cadet_names": [""]}, ADMIN),
        ]
    ]

    assert (profiles.status_code, certificates.status_code, refused) == (202, 202, [403, 422, 422])
    assert (profiles.json()["cadet_count"], certificates.json()["certificate_count"]) == (2, 2)
    tasks = [parse_task(r.headers, r.value) async for r in read_to_end(broker, topics.lane("reports"))]
    asked = {task.task_id: msgspec.json.decode(task.body) for task in tasks}
    assert asked == {
        profiles.json()["task_id"]: {"cadet_ids": [1, 2], "user_id": ADMIN},
        certificates.json()["task_id"]: {"activity_id": 4, "cadet_names": ["Ana Cruz", "Ben <b>"], "user_id": ADMIN},
    }
