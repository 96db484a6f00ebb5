"""Order keys and paused task types through the API of a whole tracker, on the real Kafka and PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from muster.adapters.clock import SystemClock
from muster.adapters.kafka import KafkaBroker
from muster.client.reading import read_to_end
from muster.contracts.catalog import TaskDescription, encode_description
from muster.contracts.dead_letter import dead_letter_headers, provenance_of
from muster.contracts.envelope import Failure, TaskRecord, parse_task
from muster.contracts.topics import Topics
from muster.ports import Producer
from muster.settings import Settings
from muster_local.ports import free_port
from tracker_service.api.keys import create_key
from tracker_service.database import Pool
from tracker_service.service import Tracker
from tracker_service.settings import TrackerSettings
from tracker_service.testing.until import until

pytest_plugins = ["tracker_service.testing.fixtures"]

CLOCK = SystemClock()
NOOP = TaskDescription(task_type="noop", service="media", parameters={"type": "object"})


@pytest.fixture
async def http(
    database: Pool, broker: KafkaBroker, producer: Producer, topics: Topics, settings: Settings
) -> AsyncIterator[httpx.AsyncClient]:
    """A whole tracker that knows the task type noop, and an admin's client of it."""
    await producer.send(topics.catalog, encode_description(NOOP), key=b"noop")
    async with database.acquire() as connection:
        key = await create_key(connection, "operator", ["admin"])
    port = free_port()
    stop = asyncio.Event()
    tracker = Tracker(settings, TrackerSettings(http_host="127.0.0.1", http_port=port), broker, CLOCK)
    running = asyncio.create_task(tracker.run(stop))
    client = httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{port}/api", headers={"X-API-Key": key}, trust_env=False, timeout=40
    )

    async def ready() -> bool:
        try:
            return bool((await client.get("/catalog")).json().get("task_types"))
        except httpx.TransportError:
            return False

    await until(ready, "the tracker answers and knows the catalog")
    yield client
    await client.aclose()
    stop.set()
    await asyncio.wait_for(running, 120)


async def submit(http: httpx.AsyncClient, **options: Any) -> str:
    answer = await http.post("/tasks", json={"name": "noop", "parameters": {}, **options})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["task_id"])


async def status(http: httpx.AsyncClient, task_id: str) -> dict[str, Any]:
    body: dict[str, Any] = (await http.get(f"/tasks/{task_id}/status")).json()
    return body


async def in_lane(broker: KafkaBroker, lane: str) -> list[TaskRecord]:
    return [parse_task(record.headers, record.value) async for record in read_to_end(broker, lane)]


async def until_called(broker: KafkaBroker, lane: str, *task_ids: str) -> list[TaskRecord]:
    async def there() -> bool:
        return {task.task_id for task in await in_lane(broker, lane)} == set(task_ids)

    await until(there, f"{task_ids} are called into {lane}")
    return await in_lane(broker, lane)


async def test_a_task_that_waits_says_for_whom_and_is_taken_back(
    http: httpx.AsyncClient, broker: KafkaBroker, topics: Topics
) -> None:
    first, second, third = [await submit(http, order_key="cadet-7", lane="high") for _ in range(3)]
    await until_called(broker, topics.lane("media", "high"), first)

    async def seated() -> bool:
        return bool((await status(http, third))["waiting_for"] == second)

    await until(seated, "the third one waits for the second")
    shown = [await status(http, task_id) for task_id in (first, second, third)]
    assert [(body["status"], body["waiting_for"]) for body in shown] == [
        ("PENDING", None), ("PENDING", first), ("PENDING", second),
    ]  # fmt: skip

    assert (await http.post(f"/tasks/{second}/revoke")).status_code == 202

    async def revoked() -> bool:
        return bool((await status(http, second))["status"] == "REVOKED")

    await until(revoked, "the waiting task is revoked")

    async def moved_up() -> bool:
        return bool((await status(http, third))["waiting_for"] == first)

    await until(moved_up, "the third one waits for the first")


async def test_a_redriven_task_takes_the_last_place_of_its_queue(
    http: httpx.AsyncClient, broker: KafkaBroker, topics: Topics, producer: Producer
) -> None:
    lane = topics.lane("media")
    first, second = [await submit(http, order_key="cadet-7") for _ in range(2)]
    [task] = await until_called(broker, lane, first)
    now = CLOCK.now()
    why = provenance_of(
        task, Failure("error", "Boom", "it broke", "w1", now, now), topic=lane, partition=0, offset=0, timestamp_ms=1,
        now=now,
    )  # fmt: skip
    await (
        await producer.send(
            topics.dead_letter, task.body, key=task.key, headers=dead_letter_headers(task.headers(), why)
        )
    )
    # A dead letter lets the next one go.
    await until_called(broker, lane, first, second)

    answer = await http.post("/dead-letters/redrive", json={"ids": [first], "dry_run": False})
    assert answer.json()["redriven"] == 1, answer.text

    async def behind() -> bool:
        return bool((await status(http, first))["waiting_for"] == second)

    await until(behind, "it waits for who was called meanwhile")
    assert (await status(http, first))["status"] == "PENDING"


async def test_a_type_is_paused_shown_and_resumed(http: httpx.AsyncClient, broker: KafkaBroker, topics: Topics) -> None:
    assert (await http.post("/task-types/noop/pause")).json() == {"task_type": "noop", "paused": True}
    [shown] = (await http.get("/task-types")).json()["task_types"]
    assert (shown["task_type"], shown["paused"], shown["announced"]) == ("noop", True, True)

    keyed = await submit(http, order_key="cadet-7")
    plain = await submit(http)
    assert [(await status(http, task_id))["paused"] for task_id in (keyed, plain)] == [True, True]
    # A task of the type that has no key is in its lane: its worker would bring it to the waiting room.
    await until_called(broker, topics.lane("media"), plain)

    assert (await http.post("/task-types/noop/resume")).json() == {"task_type": "noop", "paused": False}
    await until_called(broker, topics.lane("media"), plain, keyed)
    assert (await status(http, keyed))["paused"] is False
    assert [entry["paused"] for entry in (await http.get("/task-types")).json()["task_types"]] == [False]


async def test_what_is_no_announced_type_is_paused_by_force_only(http: httpx.AsyncClient) -> None:
    refused = await http.post("/task-types/gret/pause")
    assert (refused.status_code, refused.json()["code"]) == (404, "NOT_FOUND")
    assert (await http.post("/task-types/gret/resume")).status_code == 404
    assert (await http.post("/task-types/no type/pause", json={"force": True})).status_code == 422

    assert (await http.post("/task-types/gret/pause", json={"force": True})).status_code == 202
    listed = {entry["task_type"]: entry["paused"] for entry in (await http.get("/task-types")).json()["task_types"]}
    assert listed == {"gret": True, "noop": False}
    assert (await http.post("/task-types/gret/resume")).status_code == 202


async def test_only_an_admin_pauses(http: httpx.AsyncClient, database: Pool) -> None:
    async with database.acquire() as connection:
        key = await create_key(connection, "reader", ["read", "submit"])

    for method, path in (("POST", "noop/pause"), ("POST", "noop/resume"), ("GET", "")):
        answer = await http.request(method, f"/task-types/{path}".rstrip("/"), headers={"X-API-Key": key})
        assert (answer.status_code, answer.json()["code"]) == (403, "FORBIDDEN")
