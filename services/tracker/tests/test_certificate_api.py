"""What the public endpoint says of a certificate's code: its facts when it is genuine, else no."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date
from types import SimpleNamespace

import asyncpg
import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from rotc import issued_certificates
from rotc.certificates import Certificate, code_of, grouped
from rotc.connection import connected
from tracker_service.api import certificates, errors
from tracker_service.api.limits import RateLimit
from tracker_service.settings import TrackerSettings

KEY = "k" * 32
CERTIFICATE = Certificate(1, "Parade", date(2026, 1, 5), "Peña, Ana")
CODE = code_of(CERTIFICATE, KEY.encode())


@pytest.fixture
async def pool(postgres: str) -> AsyncIterator[asyncpg.Pool]:
    async with asyncpg.create_pool(postgres, min_size=1, max_size=2) as pool:
        yield pool


def client(pool: asyncpg.Pool, keys: str = KEY, limit: str = "100/second") -> httpx.AsyncClient:
    app = FastAPI()
    app.include_router(certificates.router)
    errors.install(app)
    settings = TrackerSettings(certificate_keys=SecretStr(keys))
    app.state.api = SimpleNamespace(tracker=settings, pool=pool, limit=RateLimit(limit))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://tracker")


async def issue(postgres: str) -> None:
    async with connected(postgres) as connection:
        await issued_certificates.ensure(connection)
        await issued_certificates.remember(connection, CODE, CERTIFICATE)


async def test_a_genuine_code_is_answered_with_the_facts_however_it_is_typed(postgres: str, pool: asyncpg.Pool) -> None:
    await issue(postgres)
    async with client(pool) as http:
        for typed in (CODE, grouped(CODE), grouped(CODE).lower()):
            answer = await http.get(f"/api/certificates/verify/{typed}")

            assert answer.status_code == 200
            body = answer.json()
            assert body.pop("issued_at")
            assert body == {
                "valid": True, "code": grouped(CODE), "cadet_name": "Peña, Ana", "activity_id": 1,
                "activity": "Parade", "activity_date": "2026-01-05",
            }  # fmt: skip


async def test_any_other_code_is_no_also_before_the_first_certificate(postgres: str, pool: asyncpg.Pool) -> None:
    async with client(pool) as http:
        before = await http.get(f"/api/certificates/verify/{CODE}")
        await issue(postgres)
        for wrong in ("nonsense", "A" * 20, CODE[:-1] + ("A" if CODE[-1] != "A" else "B")):
            answer = await http.get(f"/api/certificates/verify/{wrong}")
            assert (answer.status_code, answer.json()) == (200, {"valid": False})
    assert before.json() == {"valid": False}


async def test_a_row_that_was_changed_in_the_database_is_not_believed(postgres: str, pool: asyncpg.Pool) -> None:
    await issue(postgres)
    await pool.execute("UPDATE muster.certificates SET cadet_name = 'Somebody Else'")

    async with client(pool) as http:
        assert (await http.get(f"/api/certificates/verify/{CODE}")).json() == {"valid": False}


@pytest.mark.parametrize("keys", ["", "short"])
async def test_without_keys_nothing_is_claimed(pool: asyncpg.Pool, keys: str) -> None:
    async with client(pool, keys) as http:
        answer = await http.get(f"/api/certificates/verify/{CODE}")

    assert answer.status_code == 503
    assert "CERTIFICATE_KEYS" in answer.json()["message"]


async def test_who_guesses_is_slowed_down(pool: asyncpg.Pool) -> None:
    async with client(pool, limit="2/hour") as http:
        codes = [(await http.get(f"/api/certificates/verify/{CODE}")).status_code for _ in range(3)]

    assert codes == [200, 200, 429]
