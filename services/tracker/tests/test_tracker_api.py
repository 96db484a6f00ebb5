"""The REST API on a whole tracker: who may ask what, and what is answered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import jwt
import msgspec
import pytest
from muster.adapters.clock import SystemClock
from muster.adapters.kafka import KafkaBroker
from muster.contracts.catalog import TaskDescription, encode_description
from muster.contracts.control import Revocation, decode_order
from muster.contracts.envelope import parse_task
from muster.contracts.events import Heartbeat, Started, Succeeded, encode_event, encode_json
from muster.contracts.topics import Topics
from muster.ports import Producer, Record, TopicPartition
from muster.settings import Settings
from muster_local.ports import free_port
from rotc.migrate import migrate as migrate_rotc
from tracker_service.api.keys import create_key
from tracker_service.database import Pool
from tracker_service.service import Tracker
from tracker_service.settings import TrackerSettings
from tracker_service.testing.records import Story
from tracker_service.testing.until import until

pytest_plugins = ["tracker_service.testing.fixtures"]

CLOCK = SystemClock()
SECRET = "a key of the backend that nobody else knows, long enough"
NOOP = TaskDescription(
    task_type="noop", service="media", max_attempts=4, roles=("admin", "cadet"),
    parameters={
        "type": "object", "additionalProperties": False, "required": ["number"],
        "properties": {"number": {"type": "integer"}, "note": {"anyOf": [{"type": "string"}, {"type": "null"}]}},
    },
)  # fmt: skip

OK = msgspec.Raw(b'{"ok":1}')


def token(user_id: int, **claims: Any) -> str:
    said = {
        "token_type": "access", "exp": datetime.now(UTC) + timedelta(hours=1), "user_id": "999",
        "custom_user_id": user_id, "role": "admin",
    }  # fmt: skip
    return jwt.encode(said | claims, SECRET, algorithm="HS256")


@pytest.fixture
async def users(database: Pool, postgres: str) -> None:
    """1: an admin; 2 and 3: cadets; 4: a cadet who waits for approval."""
    async with database.acquire() as connection:
        await migrate_rotc(connection)
        for user_id, role, approved in (
            (1, "admin", True),
            (2, "cadet", True),
            (3, "cadet", True),
            (4, "cadet", False),
        ):
            await connection.execute(
                """INSERT INTO users (id, username, email, password, role, is_approved, created_at)
                   VALUES ($1, $2, $3, 'x', $4, $5, now())""",
                user_id, f"user{user_id}", f"user{user_id}@example.org", role, approved,
            )  # fmt: skip


@pytest.fixture
async def http(
    users: None, broker: KafkaBroker, producer: Producer, topics: Topics, settings: Settings, unused_port: int
) -> AsyncIterator[httpx.AsyncClient]:
    """A whole tracker that knows the task type noop, and a client of it."""
    await producer.send(topics.catalog, encode_description(NOOP), key=b"noop")
    stop = asyncio.Event()
    own = TrackerSettings(http_host="127.0.0.1", http_port=unused_port, secret_key=SECRET)
    running = asyncio.create_task(Tracker(settings, own, broker, CLOCK).run(stop))
    client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{unused_port}", trust_env=False, timeout=40)
    admin = {"Authorization": f"Bearer {token(1)}"}

    async def ready() -> bool:
        try:
            known = await client.get("/api/catalog", headers=admin)
        except httpx.TransportError:
            return False
        return bool(known.json().get("task_types"))

    await until(ready, "the tracker answers and knows the catalog")
    yield client
    await client.aclose()
    stop.set()
    await asyncio.wait_for(running, 120)


@pytest.fixture
def unused_port() -> int:
    return free_port()


def auth(user_id: int) -> dict[str, str]:
    return {"Authorization": f"Bearer {token(user_id)}"}


async def read(broker: KafkaBroker, topic: str, partitions: int, count: int) -> list[Record]:
    consumer = broker.consumer()
    consumer.assign([TopicPartition(topic, number) for number in range(partitions)])
    await consumer.start()
    records: list[Record] = []
    try:
        async with asyncio.timeout(60):
            while len(records) < count:
                records += await consumer.poll(timeout=0.5)
    finally:
        await consumer.stop()
    return records


async def finish(producer: Producer, topics: Topics, task_id: str) -> None:
    said = {"task_id": task_id, "task_type": "noop", "attempt": 1, "delivery": 1, "worker": "w", "at": CLOCK.now()}
    where = {"topic": topics.lane("media"), "partition": 0, "offset": 0}
    started = msgspec.convert({"event": "STARTED", **said, **where}, Started)
    ended = msgspec.convert({"event": "SUCCESS", **said, "started_at": CLOCK.now(), "result": OK}, Succeeded)
    for event in (started, ended):
        await producer.send(topics.events, encode_event(event), key=task_id.encode())


async def submit(http: httpx.AsyncClient, user_id: int = 2, **body: Any) -> httpx.Response:
    return await http.post(
        "/api/tasks", json={"name": "noop", "parameters": {"number": 1}} | body, headers=auth(user_id)
    )


async def test_a_submitted_task_is_in_its_lane_and_visible_to_the_next_read(
    http: httpx.AsyncClient, broker: KafkaBroker, topics: Topics
) -> None:
    accepted = await submit(http, lane="high")
    task_id = accepted.json()["task_id"]
    status = await http.get(f"/api/tasks/{task_id}/status", headers=auth(2))

    (record,) = await read(broker, topics.lane("media", "high"), 6, 1)
    task = parse_task(record.headers, record.value)
    assert accepted.status_code == 202
    assert accepted.json()["status_url"] == f"/api/tasks/{task_id}/status"
    assert (task.task_id, task.submitter, task.body) == (task_id, 2, b'{"number":1}')
    body = status.json()
    assert {"status": "PENDING", "ready": False, "successful": None, "max_attempts": 4}.items() <= body.items()
    assert body["as_of"]
    assert body["lag_ms"] >= 0


async def test_a_long_poll_answers_when_the_task_ends(
    http: httpx.AsyncClient, producer: Producer, topics: Topics
) -> None:
    task_id = (await submit(http)).json()["task_id"]
    began = CLOCK.monotonic()
    waiting = asyncio.create_task(http.get(f"/api/tasks/{task_id}?wait=30", headers=auth(2)))
    await asyncio.sleep(0.2)
    await finish(producer, topics, task_id)

    body = (await waiting).json()

    assert CLOCK.monotonic() - began < 25
    assert (body["status"], body["result"], body["successful"]) == ("SUCCESS", {"ok": 1}, True)
    assert [run["outcome"] for run in body["attempts"]] == ["SUCCESS"]


async def test_a_delivery_that_was_handed_back_is_told_from_one_that_was_lost(
    http: httpx.AsyncClient, producer: Producer, topics: Topics
) -> None:
    # Given: "first" left, "second" died over the next delivery, "third" runs it. Their records are folded in any order.
    story = Story(submitter=2)
    for record in (
        story.lane(), story.handed_back(2, delivery=2, worker="first"), story.lane(4, delivery=3),
        story.started(1, worker="first"), story.started(3, worker="second", delivery=2),
        story.started(5, worker="third", delivery=3),
    ):  # fmt: skip
        await producer.send(topics.prefix + record.topic, record.value, key=b"t1", headers=record.headers)

    async def told() -> bool:
        return len((await http.get("/api/tasks/t1", headers=auth(1))).json().get("attempts", ())) == 3

    await until(told, "the API tells of three runs")
    body = (await http.get("/api/tasks/t1", headers=auth(1))).json()
    assert [(run["worker"], run["outcome"]) for run in body["attempts"]] == [
        ("first", "HANDED_BACK"), ("second", "LOST"), ("third", None),
    ]  # fmt: skip
    assert "handed back" in [entry["event"] for entry in body["timeline"]]


async def test_every_path_stands_twice_with_and_without_a_final_slash(http: httpx.AsyncClient) -> None:
    task_id = (await submit(http)).json()["task_id"]

    for path in (
        "/api/tasks/{}/status",
        "/api/tasks/{}/status/",
        "/api/v1/tasks/{}/status",
        "/api/v1/tasks/{}/status/",
    ):
        answer = await http.get(path.format(task_id), headers=auth(2) | {"X-Request-ID": "mine-1"})
        assert answer.status_code == 200
        assert answer.headers["X-Request-ID"] == "mine-1"


async def test_a_task_is_seen_by_its_submitter_and_admins_only(http: httpx.AsyncClient) -> None:
    task_id = (await submit(http, 2)).json()["task_id"]

    answers = [await http.get(f"/api/tasks/{task_id}/status", headers=auth(user_id)) for user_id in (1, 2, 3)]
    listed = [await http.get("/api/tasks", headers=auth(user_id)) for user_id in (1, 2, 3)]

    assert [answer.status_code for answer in answers] == [200, 200, 404]
    assert [len(page.json()["tasks"]) for page in listed] == [1, 1, 0]


async def test_who_is_not_known_is_refused_in_the_envelope(http: httpx.AsyncClient) -> None:
    # One tracker for all of them: to start it is what this costs.
    over = datetime.now(UTC) - timedelta(minutes=2)
    tokens = {
        "nonsense": 401,
        token(1, exp=over): 401,
        token(1, token_type="refresh"): 401,
        token(77): 401,
        jwt.encode({"custom_user_id": 1}, "x" * 50, algorithm="HS256"): 401,
        token(4): 403,
    }
    asked: list[tuple[dict[str, str], int]] = [({}, 401), ({"X-API-Key": "mk_unknown"}, 401)]
    asked += [({"Authorization": f"Bearer {said}"}, status) for said, status in tokens.items()]

    for headers, status in asked:
        answer = await http.get("/api/tasks/none/status", headers=headers)

        assert answer.status_code == status, headers
        assert {"error", "message", "code", "details"} == answer.json().keys()


async def test_clocks_may_differ_by_a_minute(http: httpx.AsyncClient) -> None:
    late = token(1, exp=datetime.now(UTC) - timedelta(seconds=20))

    assert (await http.get("/api/catalog", headers={"Authorization": f"Bearer {late}"})).status_code == 200


async def test_wrong_submissions_name_each_bad_field(http: httpx.AsyncClient) -> None:
    wrong = await submit(http, parameters={"number": "x", "note": 5, "extra": 1})
    missing = await submit(http, parameters={})
    unknown = await submit(http, name="no_such_task")
    both = await submit(http, countdown=5, eta="2030-01-01T00:00:00Z")
    garbage = await http.post("/api/tasks", content=b"{", headers=auth(2))

    fields = {problem["field"] for problem in wrong.json()["details"]["problems"]}
    assert fields == {"number", "note", "extra"}
    assert missing.json()["details"]["problems"] == [{"field": "number", "message": "is required", "code": "required"}]
    assert {a.status_code for a in (wrong, missing, unknown, both, garbage)} == {422}


async def test_the_same_idempotency_key_is_the_same_task(
    http: httpx.AsyncClient, broker: KafkaBroker, topics: Topics
) -> None:
    answers = await asyncio.gather(*(submit(http, idempotency_key="once") for _ in range(5)))
    other = await submit(http, 3, idempotency_key="once")

    assert len({answer.json()["task_id"] for answer in answers}) == 1
    assert other.json()["task_id"] != answers[0].json()["task_id"]
    assert sum("Idempotent-Replayed" in answer.headers for answer in answers) == 4
    assert len(await read(broker, topics.lane("media"), 6, 2)) == 2


async def test_a_countdown_goes_through_the_retry_topic(
    http: httpx.AsyncClient, broker: KafkaBroker, topics: Topics
) -> None:
    task_id = (await submit(http, countdown=3600)).json()["task_id"]
    body = (await http.get(f"/api/tasks/{task_id}/status", headers=auth(2))).json()

    (record,) = await read(broker, topics.retry, 6, 1)
    task = parse_task(record.headers, record.value)
    assert task.route == topics.lane("media")
    assert task.not_before is not None
    assert task.not_before - CLOCK.now() > timedelta(minutes=59)
    assert (body["status"], body["next_attempt_at"] is not None) == ("PENDING", True)


async def test_a_revocation_is_in_kafka_before_it_is_confirmed(
    http: httpx.AsyncClient, broker: KafkaBroker, producer: Producer, topics: Topics
) -> None:
    task_id = (await submit(http)).json()["task_id"]
    refused = await http.post(f"/api/tasks/{task_id}/revoke", json={}, headers=auth(2))
    accepted = await http.post(f"/api/tasks/{task_id}/revoke/", json={"terminate": True}, headers=auth(1))
    shown = (await http.get(f"/api/tasks/{task_id}/status", headers=auth(1))).json()
    unknown = await http.post("/api/tasks/none/revoke", headers=auth(1))

    record = (await read(broker, topics.control, 1, 1))[0]
    order = decode_order(record.value or b"")
    assert (refused.status_code, accepted.status_code, unknown.status_code) == (403, 202, 404)
    assert isinstance(order, Revocation)
    assert (order.task_id, order.terminate, order.by) == (task_id, True, 1)
    assert shown["status"] == "PENDING"
    assert shown["revoke_requested_at"]

    await finish(producer, topics, task_id)
    await http.get(f"/api/tasks/{task_id}?wait=20", headers=auth(1))
    late = await http.post(f"/api/tasks/{task_id}/revoke", headers=auth(1))
    records = await read(broker, topics.control, 1, 2)
    assert late.status_code == 409
    assert records[1].value is None, "the order is withdrawn once the task has ended"


async def test_an_unknown_id_is_404_and_pending_for_those_who_expect_celery(http: httpx.AsyncClient) -> None:
    plain = await http.get("/api/tasks/none/status", headers=auth(1))
    celery = await http.get("/api/tasks/none/status?compat=celery", headers=auth(1))

    assert plain.status_code == 404
    assert celery.json()["status"] == "PENDING"


async def test_a_machine_may_what_its_scopes_say(http: httpx.AsyncClient, database: Pool) -> None:
    async with database.acquire() as connection:
        reader = {"X-API-Key": await create_key(connection, "reader", ["read"])}
        writer = {"X-API-Key": await create_key(connection, "writer", ["submit"])}
    task = {"name": "noop", "parameters": {"number": 1}}

    refused = await http.post("/api/tasks", json=task, headers=reader)
    accepted = await http.post("/api/tasks", json=task, headers=writer)
    url = accepted.json()["status_url"]

    assert (refused.status_code, accepted.status_code) == (403, 202)
    assert (await http.get(url, headers=reader)).status_code == 200
    assert (await http.get(url, headers=writer)).status_code == 404


async def test_a_trusted_machine_submits_for_a_person_with_that_persons_rights(
    http: httpx.AsyncClient, database: Pool
) -> None:
    async with database.acquire() as connection:
        trusted = {"X-API-Key": await create_key(connection, "backend", ["act"])}
        writer = {"X-API-Key": await create_key(connection, "writer", ["submit"])}

    async def ask(headers: dict[str, str], **body: Any) -> httpx.Response:
        task = {"name": "noop", "parameters": {"number": 1}, "idempotency_key": "once"}
        return await http.post("/api/tasks", json=task | body, headers=headers)

    second, third = await ask(trusted, submitter=2), await ask(trusted, submitter=3)
    seen = [(await http.get(second.json()["status_url"], headers=auth(user))).status_code for user in (1, 2, 3)]
    refused = [await ask(writer, submitter=2), await ask(auth(1), submitter=2), await ask(trusted)]
    nobody = [await ask(trusted, submitter=number) for number in (4, 999)]

    assert seen == [200, 200, 404]
    assert second.json()["task_id"] != third.json()["task_id"], "one key of two people is two tasks"
    assert [answer.status_code for answer in refused] == [403, 403, 403]
    assert [answer.json()["details"]["problems"][0]["field"] for answer in nobody] == ["submitter"] * 2


async def test_health_and_statistics_have_the_bodies_of_the_reference_document(
    http: httpx.AsyncClient, producer: Producer, topics: Topics
) -> None:
    nobody = await http.get("/api/celery/health", headers=auth(1))
    beat = Heartbeat(worker="media@h-1", service="media", at=CLOCK.now(), host="h", version="1", slots=4, running=0)
    await (await producer.send(topics.workers, encode_json(beat), key=b"media@h-1"))
    task_id = (await submit(http)).json()["task_id"]
    await finish(producer, topics, task_id)
    await http.get(f"/api/tasks/{task_id}?wait=20", headers=auth(1))

    healthy = await http.get("/api/celery/health", headers=auth(1))
    stats = (await http.get("/api/celery/stats", headers=auth(1))).json()

    assert (nobody.status_code, nobody.json()["celery"]) == (503, "unhealthy")
    assert healthy.status_code == 200
    assert {"overall": "healthy", "redis": "healthy", "workers": ["media@h-1"]}.items() <= healthy.json().items()
    assert (stats["total_tasks_24h"], stats["successful_tasks_24h"], stats["types"][0]["name"]) == (1, 1, "noop")
    assert (await http.get("/api/celery/stats", headers=auth(2))).status_code == 403
    assert (await http.get("/api/health")).json()["status"] == "healthy"


async def test_probes_metrics_and_the_openapi_document_need_no_identity(http: httpx.AsyncClient) -> None:
    answers = {path: await http.get(path) for path in ("/livez", "/readyz", "/metrics", "/api/openapi.json")}

    assert {answer.status_code for answer in answers.values()} == {200}
    assert "muster_records_projected_total" in answers["/metrics"].text
    assert "/api/tasks/{task_id}/revoke" in answers["/api/openapi.json"].json()["paths"]


async def test_pages_are_walked_by_cursor(http: httpx.AsyncClient) -> None:
    ids = {(await submit(http)).json()["task_id"] for _ in range(5)}
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        query = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = (await http.get("/api/tasks", params=query, headers=auth(2))).json()
        seen += [task["task_id"] for task in page["tasks"]]
        cursor = page["next_cursor"]

    assert (len(seen), set(seen)) == (5, ids)
    assert (await http.get("/api/tasks?cursor=%00bad", headers=auth(2))).status_code == 400
