"""Browsers subscribe and unsubscribe: what is kept of them, whose they are, and which are refused."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import asyncpg
import httpx
import jwt
import pytest
from fastapi import FastAPI
from muster_local.push_crypto import BrowserKeys
from pydantic import SecretStr, ValidationError
from rotc.connection import connected
from rotc.migrate import migrate
from rotc.push_subscriptions import MOST_PER_USER
from tracker_service.api import errors, push
from tracker_service.api.callers import Callers
from tracker_service.api.limits import RateLimit
from tracker_service.settings import TrackerSettings

SECRET = SecretStr("of-these-tests-and-long-enough-to-be-taken-for-a-key-0123456789")
ANA, BEN, NEWCOMER = 1, 2, 3
KEYS = BrowserKeys(12345, b"a" * 16).told()
VAPID = KEYS["p256dh"]
ROWS = """
INSERT INTO users (id, username, email, password, role, is_approved, created_at)
    SELECT n, 'u' || n, n || '@x', '', 'cadet', n < 3, now() FROM generate_series(1, 3) n;
"""


def as_user(user_id: int) -> dict[str, str]:
    claims = {"token_type": "access", "custom_user_id": user_id, "exp": int(time.time()) + 600}
    return {"Authorization": f"Bearer {jwt.encode(claims, SECRET.get_secret_value(), 'HS256')}"}


def browser(number: int = 1, **changed: Any) -> dict[str, Any]:
    endpoint = f"https://fcm.googleapis.com/fcm/send/{number}"
    return {"endpoint": endpoint, "expirationTime": None, "keys": KEYS, **changed}


@pytest.fixture
async def pool(postgres: str) -> AsyncIterator[asyncpg.Pool]:
    async with connected(postgres) as connection:
        await migrate(connection)
        await connection.execute(ROWS)
    async with asyncpg.create_pool(postgres, min_size=1, max_size=4) as pool:
        yield pool


def client(pool: asyncpg.Pool, **settings: Any) -> httpx.AsyncClient:
    app = FastAPI()
    app.include_router(push.router)
    errors.install(app)
    own = TrackerSettings(vapid_public_key=VAPID, **settings)
    limit = RateLimit("1000/second")
    app.state.api = SimpleNamespace(
        tracker=own, pool=pool, limit=limit, refusals=limit, callers=Callers(pool, SECRET)
    )  # fmt: skip
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://tracker/api/notifications")


async def owners(pool: asyncpg.Pool) -> list[tuple[int, str]]:
    rows = await pool.fetch("SELECT user_id, endpoint FROM push_subscriptions ORDER BY created_at, id")
    return [(row["user_id"], row["endpoint"].rpartition("/")[2]) for row in rows]


async def test_a_browser_subscribes_with_the_key_and_unsubscribes(pool: asyncpg.Pool) -> None:
    async with client(pool) as http:
        key = await http.get("/vapid-key", headers=as_user(ANA))
        first = await http.post("/subscribe", json=browser(), headers=as_user(ANA))
        kept = await owners(pool)
        gone = await http.post("/unsubscribe", json={"endpoint": browser()["endpoint"]}, headers=as_user(ANA))
        again = await http.post("/unsubscribe", json=browser(), headers=as_user(ANA))

    assert key.json() == {"publicKey": VAPID}
    assert (first.status_code, first.json()) == (201, {"message": "subscribed", "created": True})
    assert kept == [(ANA, "1")]
    assert [answer.json()["removed"] for answer in (gone, again)] == [True, False]
    assert await owners(pool) == []


async def test_a_browser_that_is_known_is_updated_and_belongs_to_who_is_logged_in_there_now(pool: asyncpg.Pool) -> None:
    renewed = {"p256dh": KEYS["p256dh"], "auth": "BTBZMqHH6r4Tts7J_aSIgg"}
    async with client(pool) as http:
        await http.post("/subscribe", json=browser(), headers=as_user(ANA))
        answer = await http.post("/subscribe", json=browser(keys=renewed), headers=as_user(BEN))
        foreign = await http.post("/unsubscribe", json=browser(), headers=as_user(ANA))

    assert (answer.status_code, answer.json()["created"]) == (200, False)
    assert foreign.json()["removed"] is False
    assert await owners(pool) == [(BEN, "1")]
    assert await pool.fetchval("SELECT keys ->> 'auth' FROM push_subscriptions") == renewed["auth"]


async def test_the_newest_browsers_of_a_person_are_kept(pool: asyncpg.Pool) -> None:
    async with client(pool) as http:
        for number in range(MOST_PER_USER + 2):
            await http.post("/subscribe", json=browser(number), headers=as_user(ANA))

    assert await owners(pool) == [(ANA, str(number)) for number in range(2, MOST_PER_USER + 2)]


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"endpoint": "http://fcm.googleapis.com/fcm/send/1"}, "endpoint"),
    ({"endpoint": "https://169.254.169.254/latest"}, "endpoint"),
    ({"endpoint": "https://fcm.googleapis.com.evil.example/1"}, "endpoint"),
    ({"endpoint": "https://user@fcm.googleapis.com/1"}, "endpoint"),
    ({"endpoint": "https://fcm.googleapis.com:8443/1"}, "endpoint"),
    ({"endpoint": ""}, "endpoint"),
    ({"endpoint": "https://fcm.googleapis.com/\x00"}, "endpoint"),
    ({"endpoint": "https://fcm.googleapis.com/" + "a" * 3000}, "endpoint"),
    ({"keys": {"p256dh": KEYS["p256dh"][:-4], "auth": KEYS["auth"]}}, "keys.p256dh"),
    ({"keys": {"p256dh": "BA" + "A" * 85, "auth": KEYS["auth"]}}, "keys.p256dh"),  # not on the curve
    ({"keys": {"p256dh": KEYS["p256dh"], "auth": "short"}}, "keys.auth"),
    ({"keys": {"p256dh": KEYS["p256dh"], "auth": "!" * 22}}, "keys.auth"),
    ({"keys": {}}, "keys.p256dh"),
]


async def test_what_can_never_be_pushed_to_is_refused_by_its_field(pool: asyncpg.Pool) -> None:
    async with client(pool) as http:
        answers = [await http.post("/subscribe", json=browser(**wrong), headers=as_user(ANA)) for wrong, _ in REFUSED]

    assert [answer.status_code for answer in answers] == [422] * len(REFUSED)
    named = [answer.json()["details"]["problems"][0]["field"] for answer in answers]
    assert named == [field for _, field in REFUSED]
    assert await owners(pool) == []


async def test_a_push_service_on_this_machine_is_let_in_by_the_demo_only(pool: asyncpg.Pool) -> None:
    local = browser(endpoint="http://127.0.0.1:8091/push/1")
    async with client(pool) as strict, client(pool, push_hosts="127.0.0.1", push_allow_private_hosts=True) as demo:
        refused = await strict.post("/subscribe", json=local, headers=as_user(ANA))
        accepted = await demo.post("/subscribe", json=local, headers=as_user(ANA))

    assert (refused.status_code, accepted.status_code) == (422, 201)


async def test_only_approved_people_subscribe(pool: asyncpg.Pool) -> None:
    async with client(pool) as http:
        nobody = await http.post("/subscribe", json=browser())
        newcomer = await http.post("/subscribe", json=browser(), headers=as_user(NEWCOMER))

    assert (nobody.status_code, newcomer.status_code) == (401, 403)


async def test_without_a_key_the_api_says_what_is_missing(pool: asyncpg.Pool) -> None:
    async with client(pool) as http:
        http._transport.app.state.api.tracker = TrackerSettings()  # type: ignore[attr-defined]
        answer = await http.get("/vapid-key", headers=as_user(ANA))

    assert answer.status_code == 503
    assert "VAPID_PUBLIC_KEY" in answer.json()["message"]


def test_a_key_that_is_none_keeps_the_tracker_from_starting() -> None:
    with pytest.raises(ValidationError, match="VAPID_PUBLIC_KEY is no public key"):
        TrackerSettings(vapid_public_key="B" * 87)
