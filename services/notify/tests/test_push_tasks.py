"""The push tasks on a real database and a push service that decrypts: who is told, once, and what is left out again."""

from __future__ import annotations

import json
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
import uvicorn
from muster.adapters.clock import SystemClock
from muster.adapters.fetching import FetchRules
from muster.adapters.postgres import EffectStore, create_pool
from muster.testing import TaskHarness
from muster.worker.outcome import DeadLetter, Outcome, RetryAt, Succeed
from muster_local.ports import free_port, wait_until
from muster_local.push_service import create_app
from notify_service.push_client import push_client
from notify_service.push_params import SendPushes
from notify_service.resources import NotifyResources
from notify_service.settings import NotifySettings
from notify_service.tasks import app
from notify_service.vapid import Proofs, new_pair
from pydantic import SecretStr, ValidationError
from rotc import push_deliveries, push_subscriptions
from rotc.connection import connected
from rotc.migrate import migrate
from rotc.web_push import Subscription

pytestmark = pytest.mark.postgres

ADMIN, STAFF, CADET, NEWCOMER, QUIET = 1, 2, 3, 4, 5
PAIR = new_pair()
ROWS = """
INSERT INTO users (id, username, email, password, role, is_approved, created_at) VALUES
    (1, 'a', 'a@x', '', 'admin', true, now()), (2, 's', 's@x', '', 'training_staff', true, now()),
    (3, 'c', 'c@x', '', 'cadet', true, now()), (4, 'n', 'n@x', '', 'cadet', false, now()),
    (5, 'q', 'q@x', '', 'cadet', true, now());
INSERT INTO user_settings (user_id, email_alerts, push_notifications, activity_updates, dark_mode, compact_mode,
    primary_color) VALUES (5, true, false, true, false, false, 'blue'), (3, true, true, true, false, false, 'blue');
INSERT INTO notifications (id, user_id, message, type, is_read, created_at)
    VALUES (100, 3, 'The parade is at 0700.', 'weekly_reminder', false, now());
"""


@pytest.fixture(scope="module")
def service_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = free_port()
    served = create_app(tmp_path_factory.mktemp("push"))
    server = uvicorn.Server(uvicorn.Config(served, host="127.0.0.1", port=port, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    assert wait_until(lambda: server.started, timeout_seconds=60)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(10)


@dataclass
class Unit:
    """Five users, their browsers at a real push service, and a worker's way of running the tasks."""

    harness: TaskHarness[NotifyResources]
    service: httpx.AsyncClient

    async def browser(self, user_id: int, sender: str = PAIR.public, **answer: Any) -> str:
        """A browser of this user: its id at the push service, which answers as told."""
        asked = await self.service.post("/subscriptions", json={"application_server_key": sender})
        told = asked.json()["subscriptions"][0]
        subscription = Subscription(told["endpoint"], **told["keys"])
        async with self.harness.resources.pool.acquire() as connection:
            await push_subscriptions.subscribe(connection, user_id, subscription)
        if answer:
            await self.service.put(f"/subscriptions/{told['id']}/answer", json=answer)
        return str(told["id"])

    async def got(self, browser: str) -> list[dict[str, Any]]:
        messages = (await self.service.get("/messages", params={"browser": browser})).json()["messages"]
        return [message["payload"] for message in messages]

    async def run(self, task: str, attempt: int = 1, submitter: int | None = None, **parameters: Any) -> Outcome:
        return await self.harness.run(task, parameters, task_id="t1", attempt=attempt, submitter=submitter)

    async def tell(self, user_id: int = CADET, **more: Any) -> Outcome:
        return await self.run("send_push_notification", user_id=user_id, title="Grade", message="Prelim: 91", **more)

    async def broadcast(self, **more: Any) -> Outcome:
        return await self.run("send_broadcast_push_notification", title="Drill", message="0600", **more)

    async def rows(self) -> list[tuple[int, str, str]]:
        query = "SELECT user_id, message, type FROM notifications WHERE id <> 100 ORDER BY user_id"
        return [tuple(row) for row in await self.harness.resources.pool.fetch(query)]

    async def count(self, table: str) -> int:
        return int(await self.harness.resources.pool.fetchval(f"SELECT count(*) FROM {table}"))  # noqa: S608


@pytest.fixture
async def unit(postgres: str, service_url: str) -> AsyncIterator[Unit]:
    async with connected(postgres) as connection:
        await migrate(connection)
        await connection.execute(ROWS)
        await push_deliveries.ensure(connection)
    rules = FetchRules.parse("127.0.0.1", allow_private=True)
    async with (
        await create_pool(postgres) as pool,
        push_client(Proofs(PAIR, "mailto:unit@example.org"), rules) as client,
        httpx.AsyncClient(base_url=service_url, trust_env=False) as service,
    ):
        effects = EffectStore(pool)
        await effects.ensure()
        resources = NotifyResources(pool, effects, NotifySettings(database_url=SecretStr(postgres)), push=client)
        yield Unit(TaskHarness(app, resources, SystemClock()), service)


def result_of(outcome: Outcome) -> dict[str, Any]:
    assert isinstance(outcome, Succeed), outcome
    result: dict[str, Any] = json.loads(outcome.result)
    return result


def refusal_of(outcome: Outcome) -> tuple[str, str]:
    assert isinstance(outcome, DeadLetter), outcome
    return outcome.failure.kind, outcome.failure.message


async def test_a_person_is_told_on_every_browser_and_the_app_lists_it(unit: Unit) -> None:
    browsers = [await unit.browser(CADET), await unit.browser(CADET)]

    result = result_of(await unit.tell(data={"url": "/grades", "cadet_id": 7}))

    expected = {"title": "Grade", "body": "Prelim: 91", "url": "/grades", "data": {"cadet_id": 7}}
    assert [await unit.got(browser) for browser in browsers] == [[expected], [expected]]
    assert result == {"sent": 2, "failed": 0, "expired_subscriptions": 0}
    assert await unit.rows() == [(CADET, "Grade: Prelim: 91", "general_update")]
    assert await unit.count("muster.push_deliveries") == 0


async def test_the_same_task_run_again_sends_nothing_and_tells_the_same(unit: Unit) -> None:
    browser = await unit.browser(CADET)

    first, second = await unit.tell(), await unit.tell()

    assert result_of(first) == result_of(second)
    assert len(await unit.got(browser)) == 1
    assert len(await unit.rows()) == 1


async def test_a_browser_that_is_gone_is_forgotten_and_the_others_are_reached(unit: Unit) -> None:
    gone, lost, there = (
        await unit.browser(CADET, status=410), await unit.browser(CADET, status=404), await unit.browser(CADET),
    )  # fmt: skip

    result = result_of(await unit.tell())

    assert result == {"sent": 1, "failed": 0, "expired_subscriptions": 2}
    assert [len(await unit.got(browser)) for browser in (gone, lost, there)] == [0, 0, 1]
    assert await unit.count("push_subscriptions") == 1


async def test_too_many_requests_are_tried_again_when_the_service_says_and_only_where_it_said(unit: Unit) -> None:
    busy, there = await unit.browser(CADET, status=429, retry_after=30, times=1), await unit.browser(CADET)

    first = await unit.tell()
    second = await unit.tell(attempt=2)

    assert isinstance(first, RetryAt)
    assert timedelta(seconds=25) < first.due - SystemClock().now() <= timedelta(seconds=30)
    assert result_of(second) == {"sent": 2, "failed": 0, "expired_subscriptions": 0}
    assert [len(await unit.got(browser)) for browser in (busy, there)] == [1, 1]
    assert len(await unit.rows()) == 1


async def test_what_never_gets_through_is_counted_after_the_last_attempt(unit: Unit) -> None:
    await unit.browser(CADET, status=503)
    await unit.browser(CADET, status=413)
    await unit.browser(CADET)

    outcomes = [await unit.tell(attempt=attempt) for attempt in (1, 2, 3, 4)]

    assert [type(outcome) for outcome in outcomes] == [RetryAt, RetryAt, RetryAt, Succeed]
    assert result_of(outcomes[-1]) == {"sent": 1, "failed": 2, "expired_subscriptions": 0}
    assert (await unit.service.get("/figures")).json()["answered"]["413"] == 1


async def test_a_broadcast_reaches_approved_people_of_the_role_who_want_pushes(unit: Unit) -> None:
    browsers = {user: await unit.browser(user) for user in (ADMIN, STAFF, CADET, NEWCOMER, QUIET)}

    result = result_of(await unit.broadcast(role="cadet"))

    assert result == {"role": "cadet", "total_users": 2, "sent": 1, "failed": 0, "expired": 0}
    assert {user for user, browser in browsers.items() if await unit.got(browser)} == {CADET}
    assert [row[0] for row in await unit.rows()] == [CADET, QUIET]


async def test_a_broadcast_without_a_role_reaches_everybody_who_is_approved(unit: Unit) -> None:
    for user in (ADMIN, STAFF, CADET, NEWCOMER, QUIET):
        await unit.browser(user)

    result = result_of(await unit.broadcast())

    assert (result["total_users"], result["sent"]) == (4, 3)


async def test_who_subscribes_after_the_first_run_began_is_not_meant(unit: Unit) -> None:
    await unit.browser(CADET, status=429, times=1)
    assert isinstance(await unit.broadcast(), RetryAt)
    late = await unit.browser(STAFF)

    result = result_of(await unit.broadcast(attempt=2))

    assert result["sent"] == 1
    assert await unit.got(late) == []


async def test_a_notification_is_pushed_as_it_is_listed_and_others_get_a_row_of_it(unit: Unit) -> None:
    browser = await unit.browser(CADET)

    result = result_of(
        await unit.run("send_push_notifications", notification_id=100, user_ids=[CADET, STAFF, CADET, 999])
    )

    assert await unit.got(browser) == [{"title": "Weekly reminder", "body": "The parade is at 0700."}]
    assert result == {"total_users": 2, "sent": 1, "failed": 0, "expired": 0}
    assert await unit.rows() == [(STAFF, "The parade is at 0700.", "weekly_reminder")]


async def test_a_push_service_that_refuses_our_key_is_an_error_and_can_be_tried_again_later(unit: Unit) -> None:
    await unit.browser(CADET, sender=new_pair().public)

    kind, message = refusal_of(await unit.tell())

    assert kind == "permanent"
    assert "refused our VAPID key for 1 browsers" in message
    assert await unit.count("push_subscriptions") == 1
    assert await unit.count("muster.push_deliveries") == 0


async def test_an_address_inside_the_network_is_not_asked(unit: Unit) -> None:
    told = (await unit.service.post("/subscriptions", json={})).json()["subscriptions"][0]
    subscription = Subscription("https://localhost/push", **told["keys"])
    strict = FetchRules.parse("localhost")

    async with push_client(Proofs(PAIR, "mailto:unit@example.org"), strict) as client:
        answer = await client.send(subscription, b"{}", "topic")

    assert answer.outcome == "failed"


async def test_what_can_never_be_sent_is_refused(unit: Unit) -> None:
    script: dict[str, Any] = {"user_id": CADET, "title": "T", "message": "m", "data": {"url": "javascript:x"}}
    refusals = [
        refusal_of(await unit.run("send_push_notification", user_id=999, title="T", message="m")),
        refusal_of(await unit.run("send_push_notifications", notification_id=999, user_ids=[CADET])),
        refusal_of(await unit.run("send_push_notification", **script)),
    ]

    assert [kind for kind, _ in refusals] == ["permanent"] * 3
    said = ("No user has id 999", "No notification has id 999", "data.url")
    assert all(part in message for part, (_, message) in zip(said, refusals, strict=True))
    assert await unit.rows() == []


@pytest.mark.parametrize(
    "parameters",
    [
        {"user_ids": [3]},
        {"user_ids": [3], "title": "T"},
        {"user_ids": [3], "notification_id": 1, "message": "m"},
        {"user_ids": [], "notification_id": 1},
        {"user_ids": ["3"], "notification_id": 1},
        {"user_ids": [3], "title": "T\x00", "message": "m"},
        {"user_ids": [3], "title": "T", "message": " "},
    ],
)
def test_parameters_of_a_wrong_form_are_invalid(parameters: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SendPushes.model_validate(parameters)


@pytest.mark.parametrize("submitter", [CADET, 999])
async def test_only_staff_and_machines_have_people_told(unit: Unit, submitter: int) -> None:
    kind, message = refusal_of(await unit.tell(submitter=submitter))

    assert (kind, "not allowed" in message) == ("permanent", True)
    assert await unit.rows() == []


async def test_progress_counts_browsers(unit: Unit) -> None:
    for _ in range(3):
        await unit.browser(CADET)

    await unit.tell()

    assert unit.harness.progress[-1] == (3, 3, "subscriptions")


async def test_without_keys_nobody_is_told_anything(unit: Unit) -> None:
    resources = unit.harness.resources
    unit.harness.resources = replace(resources, push=None)

    kind, message = refusal_of(await unit.tell())

    assert (kind, "VAPID_PRIVATE_KEY" in message) == ("permanent", True)
    assert await unit.rows() == []
