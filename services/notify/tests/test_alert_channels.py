"""Webhooks over real HTTP and pushes to stored browsers: delivered once, tried again, and no secret is told."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import rotc.migrate
from aiohttp import web
from muster.adapters.postgres import create_pool
from muster_local.ports import LOOPBACK
from notify_service.alerts.channels import Webhooks
from notify_service.alerts.delivery import Later, Refused
from notify_service.alerts.ledger import Pool
from notify_service.alerts.push_channel import Pushes
from notify_service.domain.alert_rules import Failed, Rule
from notify_service.domain.alerting import Alert, Letter, observe
from notify_service.domain.push_answers import Answer, Outcome
from rotc import push_deliveries
from rotc.web_push import Subscription

# apprise imports a module that Python 3.13 does not have any more, and has one of its own for there.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")

NOON = datetime(2026, 11, 24, 4, 0, tzinfo=UTC)
MANILA = ZoneInfo("Asia/Manila")
FAILED = Failed("media", "compress_and_upload_image", "error", "StorageError")
SUBSCRIPTIONS = """
INSERT INTO users (id, username, email, password, role, is_approved, created_at) VALUES
    (1, 'a', 'a@x', '', 'admin', true, now()), (2, 'b', 'b@x', '', 'admin', false, now());
INSERT INTO push_subscriptions (id, endpoint, keys, created_at, user_id) VALUES
    (1, 'https://push.example/1', '{"p256dh": "p", "auth": "a"}', now(), 1),
    (2, 'https://push.example/2', '{"p256dh": "p", "auth": "b"}', now(), 1),
    (3, 'https://push.example/3', '{"p256dh": "p", "auth": "c"}', now(), 2);
"""


def alert() -> Alert:
    return observe(None, Letter("0b1c", FAILED, "f", "storage said no", 4, NOON), Rule()).alerts[0]


class Hook:
    """A webhook's server that answers what it is told to."""

    def __init__(self) -> None:
        self.status = 200
        self.got: list[dict[str, Any]] = []
        self.taken = 0

    async def answer(self, request: web.Request) -> web.Response:
        self.got.append(await request.json())
        return web.Response(status=self.status)

    async def note(self) -> None:
        self.taken += 1


@pytest.fixture
async def hook() -> Hook:
    return Hook()


@pytest.fixture
async def webhooks(hook: Hook) -> AsyncIterator[Webhooks]:
    app = web.Application()
    app.add_routes([web.post("/s3cret", hook.answer)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, LOOPBACK, 0).start()
    url = f"json://{LOOPBACK}:{runner.addresses[0][1]}/s3cret"
    yield Webhooks({"d1": ("", url), "d2": ("", "nonsense://host")}, "https://rotc.example", MANILA)
    await runner.cleanup()


async def test_a_webhook_is_given_the_words_and_the_severity(hook: Hook, webhooks: Webhooks) -> None:
    await webhooks.send(alert(), "d1", hook.note)

    (said,) = hook.got
    assert said["title"] == "[muster] error: compress_and_upload_image failed"
    assert said["type"] == "failure"
    assert "https://rotc.example/api/tasks/0b1c/status/" in said["message"]
    assert hook.taken == 1


async def test_a_webhook_that_fails_is_tried_again_and_its_address_is_not_told(
    hook: Hook, webhooks: Webhooks, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    hook.status = 500

    with pytest.raises(Later) as later:
        await webhooks.send(alert(), "d1", hook.note)

    assert hook.taken == 0
    output = capsys.readouterr()
    assert "s3cret" not in f"{later.value}{caplog.text}{output.out}{output.err}"


@pytest.mark.parametrize("recipient", ["d2", "gone"])
async def test_a_webhook_that_nobody_can_reach_is_refused(hook: Hook, webhooks: Webhooks, recipient: str) -> None:
    with pytest.raises(Refused):
        await webhooks.send(alert(), recipient, hook.note)


class Browsers:
    """Push services that answer what they are told to."""

    def __init__(self, **answers: Outcome) -> None:
        self.answers = answers
        self.got: list[str] = []

    def origin(self, subscription: Subscription) -> str:
        return "https://push.example"

    async def send(self, subscription: Subscription, payload: bytes, topic: str) -> Answer:
        name = subscription.endpoint.rpartition("/")[2]
        outcome = self.answers.get(f"b{name}", Outcome.SENT)
        if outcome is Outcome.SENT:
            self.got.append(name)
        return Answer(outcome)


@pytest.fixture
async def pool(postgres: str) -> AsyncIterator[Pool]:
    async with await create_pool(postgres) as pool:
        async with pool.acquire() as connection:
            await rotc.migrate.migrate(connection)
            await push_deliveries.ensure(connection)
            await connection.execute(SUBSCRIPTIONS)
        yield pool


@pytest.mark.postgres
async def test_a_push_that_reached_one_browser_goes_on_with_the_other(pool: Pool, hook: Hook) -> None:
    browsers = Browsers(b2=Outcome.LATER)
    pushes = Pushes(pool, browsers, "https://rotc.example", MANILA)
    with pytest.raises(Later):
        await pushes.send(alert(), "user:1", hook.note)
    browsers.answers = {}

    await pushes.send(alert(), "user:1", hook.note)

    assert browsers.got == ["1", "2"]
    assert hook.taken == 1


@pytest.mark.postgres
async def test_who_is_not_approved_any_more_gets_no_push(pool: Pool, hook: Hook) -> None:
    browsers = Browsers()

    await Pushes(pool, browsers, "https://rotc.example", MANILA).send(alert(), "user:2", hook.note)

    assert browsers.got == []
