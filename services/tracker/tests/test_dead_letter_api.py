"""Dead letters and revocations by filter through the API of a whole tracker, on the real Kafka and PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import msgspec
import pytest
from muster.adapters.clock import SystemClock
from muster.adapters.kafka import KafkaBroker
from muster.client.reading import read_to_end
from muster.contracts.catalog import TaskDescription, encode_description
from muster.contracts.control import Revocation, decode_order
from muster.contracts.dead_letter import dead_letter_headers, provenance_of
from muster.contracts.envelope import Failure, TaskRecord, parse_task
from muster.contracts.events import Succeeded, encode_event
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
NOOP = TaskDescription(
    task_type="noop", service="media",
    parameters={"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}},
)  # fmt: skip


class Fleet:
    """Writes what workers write."""

    def __init__(self, producer: Producer, topics: Topics) -> None:
        self.producer = producer
        self.topics = topics
        self.lane = topics.lane("media")

    async def wait(self, task_id: str, **changes: Any) -> TaskRecord:
        """Put a task into its lane."""
        said: dict[str, Any] = {"task_type": "noop", "body": b'{"n":1}', "submitter": 7}
        task = TaskRecord(task_id=task_id, **(said | changes))
        await (await self.producer.send(self.lane, task.body, key=task.key, headers=task.headers()))
        return task

    async def fail(self, task_id: str, kind: str = "error", **changes: Any) -> None:
        task = await self.wait(task_id, submitted_at=CLOCK.now(), **changes)
        now = CLOCK.now()
        failure = Failure(kind, "Boom", "it broke \0", "w1", now, now, f"print-{kind}")
        why = provenance_of(task, failure, topic=self.lane, partition=0, offset=0, timestamp_ms=1, now=now)
        headers = dead_letter_headers(task.headers(), why)
        await (await self.producer.send(self.topics.dead_letter, task.body, key=task.key, headers=headers))

    async def succeed(self, task_id: str, redrive: int) -> None:
        now = CLOCK.now()
        event = Succeeded(
            task_id=task_id, task_type="noop", attempt=1, delivery=1, worker="w", at=now, redrive=redrive,
            started_at=now, result=msgspec.Raw(b"7"),
        )  # fmt: skip
        await (await self.producer.send(self.topics.events, encode_event(event), key=task_id.encode()))


@pytest.fixture
async def fleet(producer: Producer, topics: Topics) -> Fleet:
    return Fleet(producer, topics)


@pytest.fixture
async def http(
    database: Pool, broker: KafkaBroker, producer: Producer, topics: Topics, settings: Settings
) -> AsyncIterator[httpx.AsyncClient]:
    """A whole tracker, and an admin's client of it."""
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


async def in_state(database: Pool, state: str, count: int) -> None:
    async def reached() -> bool:
        return bool(await database.fetchval("SELECT count(*) = $2 FROM muster.tasks WHERE state = $1", state, count))

    await until(reached, f"{count} tasks in {state}")


async def lane_of(broker: KafkaBroker, fleet: Fleet) -> list[TaskRecord]:
    """The redriven tasks in the lane."""
    records = [record async for record in read_to_end(broker, fleet.lane)]
    return [task for task in (parse_task(record.headers, record.value) for record in records) if task.redrive]


async def redrive(http: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    answer = await http.post("/dead-letters/redrive", json=body)
    assert answer.status_code == 202, answer.text
    return dict(answer.json())


async def test_dead_letters_are_listed_by_page_and_grouped_by_cause(
    http: httpx.AsyncClient, fleet: Fleet, database: Pool
) -> None:
    for number in range(5):
        await fleet.fail(f"t{number}", "permanent" if number == 4 else "error")
    await in_state(database, "FAILURE", 5)
    seen: list[str] = []
    query: dict[str, Any] = {"limit": 2, "kind": "error"}
    while True:
        page = (await http.get("/dead-letters", params=query)).json()
        seen += [letter["task_id"] for letter in page["dead_letters"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    groups = (await http.get("/dead-letters/groups", params={"task_type": "noop"})).json()

    assert seen == ["t3", "t2", "t1", "t0"]
    assert [(group["fingerprint"], group["count"], group["example"]) for group in groups["groups"]] == [
        ("print-error", 4, "t3"),
        ("print-permanent", 1, "t4"),
    ]
    assert groups["complete"]
    assert (await http.get("/dead-letters", params={"since": "2999-01-01T00:00:00Z"})).json()["dead_letters"] == []


async def test_a_redriven_task_ends_in_success_under_its_own_id(
    http: httpx.AsyncClient, fleet: Fleet, broker: KafkaBroker, database: Pool
) -> None:
    await fleet.fail("t1", attempt=3, extra=(("x-own", b"kept"),))
    await fleet.fail("t2")
    await in_state(database, "FAILURE", 2)

    planned = await redrive(http, filter={"fingerprint": "print-error"}, dry_run=True)
    untouched = await lane_of(broker, fleet)
    done = await redrive(http, ids=["t1", "nobody"])
    at_once = (await http.get("/tasks/t1/status")).json()
    repeated = await redrive(http, ids=["t1"])
    await fleet.succeed("t1", redrive=1)
    await in_state(database, "SUCCESS", 1)

    assert (planned["redriven"], planned["dry_run"], untouched) == (2, True, [])
    assert (done["redriven"], done["refused"], done["problems"][0]["reason"]) == (1, 1, "no task has this id")
    assert at_once["status"] == "PENDING"
    assert (repeated["redriven"], repeated["skipped"]) == (0, 1)
    (task,) = await lane_of(broker, fleet)
    assert (task.task_id, task.redrive, task.attempt, task.submitter) == ("t1", 1, 1, 7)
    assert task.extra == (("x-own", b"kept"),)
    ended = (await http.get("/tasks/t1/status")).json()
    assert (ended["status"], ended["result"]) == ("SUCCESS", 7)


async def test_edited_parameters_are_checked_and_the_loop_guard_holds(
    http: httpx.AsyncClient, fleet: Fleet, broker: KafkaBroker, database: Pool
) -> None:
    await fleet.fail("fresh", "invalid", body=b'{"n":"one"}')
    await fleet.fail("looping", redrive=3)
    await in_state(database, "FAILURE", 2)

    wrong = await redrive(http, ids=["fresh"], parameters={"n": "two"})
    right = await redrive(http, filter={"kind": "invalid"}, parameters={"n": 2})
    guarded = await redrive(http, ids=["looping"])

    assert wrong["problems"][0]["reason"] == "noop refuses its parameters: n: must be integer"
    assert (wrong["redriven"], right["redriven"], guarded["redriven"]) == (0, 1, 0)
    assert "failed after 3 redrives and 3 are allowed" in guarded["problems"][0]["reason"]
    assert [task.body for task in await lane_of(broker, fleet) if task.task_id == "fresh"] == [b'{"n":2}']


async def test_a_redrive_shows_what_it_runs_with_and_keeps_what_the_first_round_ran_with(
    http: httpx.AsyncClient, fleet: Fleet, database: Pool
) -> None:
    await fleet.fail("edited", body=b'{"n":1}', attempt=2)
    await in_state(database, "FAILURE", 1)
    first = (await http.get("/tasks/edited")).json()

    await redrive(http, ids=["edited"], parameters={"n": 2})
    again = (await http.get("/tasks/edited")).json()

    assert (first["parameters"], first["rounds"]) == ({"n": 1}, [])
    assert [run["outcome"] for run in first["attempts"]] == ["FAILURE"], "its dead letter is told once"
    assert (again["parameters"], again["redrive"]) == ({"n": 2}, 1)
    assert [(told["redrive"], told["parameters"]) for told in again["rounds"]] == [(0, {"n": 1}), (1, {"n": 2})]
    assert [(run["attempt"], run["outcome"]) for run in again["attempts"]] == [(2, "FAILURE")]


async def test_a_task_revoked_while_it_ran_runs_again_when_it_is_redriven_after_its_failure(
    http: httpx.AsyncClient, fleet: Fleet, broker: KafkaBroker, database: Pool
) -> None:
    await fleet.wait("t1")
    await in_state(database, "PENDING", 1)
    # Given: it is asked back, fails all the same, and is redriven before anything is withdrawn.
    assert (await http.post("/tasks/t1/revoke", json={})).status_code == 202
    await fleet.fail("t1")
    await in_state(database, "FAILURE", 1)

    done = await redrive(http, ids=["t1"])

    shown = (await http.get("/tasks/t1")).json()
    orders = [decode_order(r.value) async for r in read_to_end(broker, fleet.topics.control) if r.value]
    (order,) = [order for order in orders if isinstance(order, Revocation)]
    task = next(task for task in await lane_of(broker, fleet) if task.redrive == 1)
    assert done["redriven"] == 1
    assert (shown["status"], shown["revoke_requested_at"]) == ("PENDING", None), "the order was the first round's"
    assert not order.covers(task, enqueued=CLOCK.now())


async def test_a_revoked_task_is_not_redriven_and_the_answer_says_why(
    http: httpx.AsyncClient, fleet: Fleet, database: Pool
) -> None:
    await fleet.wait("t1", not_before=CLOCK.now() + timedelta(days=30), route=fleet.lane)
    await in_state(database, "PENDING", 1)
    assert (await http.post("/tasks/t1/revoke", json={"terminate": True})).status_code == 202
    assert (await http.post("/tasks/t1/revoke", json={})).status_code in (202, 409), "twice is no harm"
    await in_state(database, "REVOKED", 1)

    done = await redrive(http, ids=["t1"])

    assert done["redriven"] == 0
    assert done["problems"][0]["reason"] == "it was taken back, so it has no dead letter: submit it anew"
    (terminate,) = [row[0] for row in await database.fetch("SELECT terminate FROM muster.revocations")]
    assert terminate, "the second order did not soften the first"


async def test_open_tasks_are_revoked_by_filter_but_counted_first(
    http: httpx.AsyncClient, fleet: Fleet, broker: KafkaBroker, database: Pool
) -> None:
    for number in range(6):
        await fleet.wait(f"t{number}", submitter=7 if number < 4 else 8)
    await fleet.fail("ended")
    await in_state(database, "FAILURE", 1)
    await in_state(database, "PENDING", 6)

    counted = (await http.post("/tasks/revoke", json={"submitter": 7})).json()
    done = (await http.post("/tasks/revoke", json={"submitter": 7, "dry_run": False})).json()
    again = (await http.post("/tasks/revoke", json={"submitter": 7, "dry_run": False})).json()
    harder = (await http.post("/tasks/revoke", json={"state": "PENDING", "terminate": True})).json()

    records = [record async for record in read_to_end(broker, fleet.topics.control)]
    orders = [decode_order(record.value) for record in records if record.value]
    assert (counted["matched"], counted["requested"], counted["by_state"]) == (4, 0, {"PENDING": 4})
    assert (done["requested"], again["matched"], harder["matched"]) == (4, 0, 6)
    by_id = [order.task_id for order in orders if isinstance(order, Revocation)]
    assert sorted(by_id) == ["t0", "t1", "t2", "t3"]
    assert len(orders) - len(by_id) == 2, "one rule for each request that was no dry run"
    assert (await http.get("/tasks/t0/status")).json()["revoke_requested_at"]


async def test_only_admins_may_only_with_a_choice_and_the_openapi_document_says_how(
    http: httpx.AsyncClient, database: Pool
) -> None:
    async with database.acquire() as connection:
        other = {"X-API-Key": await create_key(connection, "other", ["read", "submit"])}
    paths = {"/dead-letters/redrive": {"ids": ["t1"]}, "/tasks/revoke": {"submitter": 7}}

    refused = [await http.post(path, json=body, headers=other) for path, body in paths.items()]
    refused += [await http.get(path, headers=other) for path in ("/dead-letters", "/dead-letters/groups")]
    unclear = [
        await http.post(path, json=body)
        for path, body in (
            ("/dead-letters/redrive", {}),
            ("/dead-letters/redrive", {"filter": {}}),
            ("/dead-letters/redrive", {"ids": ["a"], "filter": {"kind": "error"}}),
            ("/dead-letters/redrive", {"ids": ["a\0"]}),
            ("/tasks/revoke", {}),
            ("/tasks/revoke", {"state": "SUCCESS"}),
        )
    ]

    assert {answer.status_code for answer in refused} == {403}
    assert {answer.status_code for answer in unclear} == {422}
    assert (await http.get("/dead-letters", params={"since": "2026-11-23T08:00:00"})).status_code == 422
    document = (await http.get("/openapi.json")).text
    assert "/api/dead-letters/redrive" in document
    assert "#/$defs/" not in document
