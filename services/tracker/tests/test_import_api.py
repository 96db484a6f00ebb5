"""Imports are handed to their service through the API of a whole tracker; how far they have come is told as before."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import AsyncIterator
from typing import Any, cast

import asyncpg
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
from tracker_service.api.import_status import body_of
from tracker_service.api.imports import MAX_FILE_BYTES
from tracker_service.database import Pool
from tracker_service.service import Tracker
from tracker_service.settings import TrackerSettings
from tracker_service.testing.until import until

pytest_plugins = ["tracker_service.testing.fixtures"]

SECRET = "of-these-tests-and-long-enough-to-be-taken-for-a-key-0123456789"
ADMIN, CADET = 1, 2
ROWS = """
INSERT INTO users (id, username, email, password, role, is_approved, cadet_id, created_at) VALUES
    (1, 'a', 'a@x', '', 'admin', true, null, now()), (2, 'c', 'c@x', '', 'cadet', true, null, now());
"""
STAFF = ("admin", "training_staff")
TYPES = [
    TaskDescription(task_type=name, service="import", parameters={"type": "object"}, roles=STAFF)
    for name in ("import_rotcmis_data", "import_csv")
]
CSV = b"student_id,first_name,last_name\n2026-1,Ana,Cruz\n"


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


async def submitted(broker: KafkaBroker, topics: Topics) -> dict[str, Any]:
    """Parameters of the tasks on the import service's lane, by task id."""
    tasks = [parse_task(record.headers, record.value) async for record in read_to_end(broker, topics.lane("import"))]
    return {task.task_id: msgspec.json.decode(task.body) for task in tasks}


async def test_rows_are_imported_for_the_admin_who_sends_them(
    http: httpx.AsyncClient, broker: KafkaBroker, topics: Topics
) -> None:
    body = {"data": [{"studentId": "2026-1"}, {"student_id": "2026-2"}], "merge_strategy": "update"}

    accepted = await http.post("/import/rotcmis/", json={**body, "async_processing": False}, headers=as_user(ADMIN))
    refused = [
        (await http.post("/import/rotcmis", json=wrong, headers=as_user(user))).status_code
        for user, wrong in [
            (CADET, body), (ADMIN, {}), (ADMIN, {"data": []}), (ADMIN, {"data": {}}), (ADMIN, {**body, "to": 1}),
            (ADMIN, {**body, "merge_strategy": "overwrite"}),
        ]
    ]  # fmt: skip
    status = await http.get(f"/import/status/{accepted.json()['task_id']}", headers=as_user(ADMIN))
    hidden = await http.get(f"/import/status/{accepted.json()['task_id']}", headers=as_user(CADET))
    unknown = await http.get("/import/status/nobody/", headers=as_user(ADMIN))

    assert (accepted.status_code, accepted.json()["status"], accepted.json()["total_records"]) == (202, "processing", 2)
    assert refused == [403, 400, 400, 422, 422, 422]
    [(task_id, parameters)] = (await submitted(broker, topics)).items()
    assert task_id == accepted.json()["task_id"]
    assert msgspec.json.decode(parameters.pop("json_data")) == body["data"]
    assert parameters == {"user_id": ADMIN, "merge_strategy": "update", "dry_run": False}
    assert (status.status_code, status.json()["status"], status.json()["progress"]) == (200, "processing", 0)
    assert (hidden.status_code, unknown.status_code) == (404, 404)
    assert unknown.json()["message"] == "Task not found or expired"


async def test_a_file_is_imported_as_it_came(http: httpx.AsyncClient, broker: KafkaBroker, topics: Topics) -> None:
    async def send(file: bytes | None, user: int = ADMIN, **fields: str) -> httpx.Response:
        files = {} if file is None else {"file": ("roster.csv", file, "text/csv")}
        return await http.post("/import/csv", data=fields, files=files, headers=as_user(user))

    accepted = await send(CSV, entity_type="cadets", dry_run="true")
    plain = await send(CSV)
    refused = [
        answer.status_code
        for answer in [
            await send(CSV, CADET), await send(b""), await send(None), await send(CSV, entity_type="users"),
            await send(CSV, merge_strategy="all"), await send(CSV, is_archived="true"),
            await send(b"a" * (MAX_FILE_BYTES + 1)),
            await http.post("/import/csv", content=CSV, headers=as_user(ADMIN)),
            await http.post(
                "/import/csv", content=b"no form",
                headers={**as_user(ADMIN), "Content-Type": "multipart/form-data; boundary=x"},
            ),
        ]
    ]  # fmt: skip

    assert (accepted.status_code, accepted.json()["entity_type"]) == (202, "cadets")
    assert refused == [403, 400, 422, 422, 422, 422, 413, 422, 422]
    asked = await submitted(broker, topics)
    first, second = asked[accepted.json()["task_id"]], asked[plain.json()["task_id"]]
    assert base64.b64decode(first.pop("file")) == CSV
    assert first == {"entity_type": "cadets", "merge_strategy": "skip", "dry_run": True, "user_id": ADMIN}
    assert (second["merge_strategy"], second["dry_run"]) == ("skip", False)
    assert len(asked) == 2


@pytest.mark.parametrize(
    ("state", "seen", "shown"),
    [
        ("PENDING", {}, {"status": "processing", "progress": 0, "total": None, "success_count": 0}),
        ("STARTED", {"done": 500, "total": 1000}, {"status": "processing", "progress": 50, "total": 1000}),
        ("STARTED", {"done": 1000, "total": 1000}, {"status": "processing", "progress": 99}),
        (
            "SUCCESS", {"result": '{"total":4,"success_count":2,"error_count":1,"errors":[],"created_ids":[7]}'},
            {"status": "completed", "progress": 100, "total_processed": 4, "success_count": 2, "created_ids": [7]},
        ),
        (
            "FAILURE", {"detail": '{"failure":{"kind":"permanent","message":"not allowed"}}'},
            {"status": "failed", "error": "not allowed", "failure": {"kind": "permanent", "message": "not allowed"}},
        ),
        ("REVOKED", {}, {"status": "failed", "error": "it was revoked"}),
    ],
)  # fmt: skip
def test_a_status_reads_as_the_backend_wrote_it(state: str, seen: dict[str, Any], shown: dict[str, Any]) -> None:
    names = ("done", "total", "progress_message", "result", "detail", "last_failure")
    row = dict.fromkeys(names) | {"task_id": "t1", "task_type": "import_csv", "state": state} | seen

    body = body_of(cast(asyncpg.Record, row))

    assert {name: body[name] for name in shown} == shown
