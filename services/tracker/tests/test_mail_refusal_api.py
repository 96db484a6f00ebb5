"""The link in a mail stops mail for the account it was made for, by POST alone, and for nobody else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import SimpleNamespace

import asyncpg
import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from rotc.connection import connected
from rotc.migrate import migrate
from rotc.unsubscription import PATH, link_of, token_of, user_of
from tracker_service.api import errors, mail_refusal
from tracker_service.api.limits import RateLimit
from tracker_service.settings import TrackerSettings

KEY, OLD_KEY = "k" * 32, "o" * 32
USERS = """
INSERT INTO users (id, username, email, password, role, is_approved, created_at)
    SELECT n, 'u' || n, n || '@cadets.example', '', 'cadet', true, now() FROM generate_series(1, 2) n
"""
ALERTS = "SELECT email_alerts FROM user_settings WHERE user_id = 1"


@pytest.fixture
async def pool(postgres: str) -> AsyncIterator[asyncpg.Pool]:
    async with connected(postgres) as connection:
        await migrate(connection)
        await connection.execute(USERS)
    async with asyncpg.create_pool(postgres, min_size=1, max_size=2) as pool:
        yield pool


def client(pool: asyncpg.Pool | None, keys: str = f"{KEY},{OLD_KEY}", limit: str = "100/second") -> httpx.AsyncClient:
    app = FastAPI()
    app.include_router(mail_refusal.router)
    errors.install(app)
    settings = TrackerSettings(unsubscribe_keys=SecretStr(keys))
    app.state.api = SimpleNamespace(tracker=settings, pool=pool, limit=RateLimit(limit))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://tracker")


async def test_looking_at_the_link_changes_nothing_and_posting_to_it_stops_mail(pool: asyncpg.Pool) -> None:
    link = link_of("http://tracker/", 1, KEY.encode())
    async with client(pool) as http:
        looked = await http.get(link)
        assert "Stop mail alerts</button>" in looked.text
        assert await pool.fetchval(ALERTS) is None

        # As a mail program does it (RFC 8058), and again by the button.
        one_click = await http.post(link, data={"List-Unsubscribe": "One-Click"})
        assert await pool.fetchval(ALERTS) is False
        again = await http.post(link)

    assert (looked.status_code, one_click.status_code, again.status_code) == (200, 200, 200)
    assert "no more mail" in one_click.text
    assert looked.headers["referrer-policy"] == "no-referrer"
    assert await pool.fetchval("SELECT count(*) FROM user_settings") == 1


async def test_settings_that_are_there_keep_everything_else(pool: asyncpg.Pool) -> None:
    await pool.execute(
        "INSERT INTO user_settings (user_id, email_alerts, push_notifications, activity_updates, dark_mode, "
        "compact_mode, primary_color) VALUES (1, true, false, false, true, true, 'red')"
    )
    async with client(pool) as http:
        await http.post(PATH, params={"token": token_of(1, OLD_KEY.encode())})

    row = await pool.fetchrow("SELECT email_alerts, push_notifications, dark_mode, primary_color FROM user_settings")
    assert row is not None
    assert tuple(row) == (False, False, True, "red")


@pytest.mark.parametrize(
    "token",
    ["", "1", token_of(1, b"x" * 32), "2" + token_of(1, KEY.encode())[1:], token_of(1, KEY.encode()) + "A", "9" * 400],
)
async def test_any_other_link_is_no_link(token: str) -> None:
    async with client(None) as http:
        looked, posted = await http.get(PATH, params={"token": token}), await http.post(PATH, params={"token": token})

    assert (looked.status_code, posted.status_code) == (404, 404)


async def test_an_account_that_is_gone_is_no_account(pool: asyncpg.Pool) -> None:
    async with client(pool) as http:
        assert (await http.post(PATH, params={"token": token_of(7, KEY.encode())})).status_code == 404


@pytest.mark.parametrize("keys", ["", "short"])
async def test_without_a_proper_key_the_link_says_what_is_missing(keys: str) -> None:
    async with client(None, keys) as http:
        answer = await http.get(PATH, params={"token": token_of(1, KEY.encode())})

    assert answer.status_code == 503
    assert "UNSUBSCRIBE_KEYS" in answer.json()["message"]


async def test_guessing_is_counted() -> None:
    async with client(None, limit="2/minute") as http:
        codes = [(await http.get(PATH, params={"token": "1.x"})).status_code for _ in range(3)]

    assert codes == [404, 404, 429]


def test_a_token_names_one_account_and_only_with_a_known_key() -> None:
    token = token_of(12, KEY.encode())

    assert user_of(token, [OLD_KEY.encode(), KEY.encode()]) == 12
    assert user_of(token, [OLD_KEY.encode()]) is None
    assert user_of("2147483648" + token[2:], [KEY.encode()]) is None
