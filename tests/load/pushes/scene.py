"""What the push benchmark works on: a push service of its own, people with one browser each. Measures nothing."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx
from muster.adapters.postgres import EffectStore
from muster_local import processes
from muster_local.parts import ServicePart
from muster_local.ports import free_port
from muster_local.processes import ProcessIdentity
from rotc import push_deliveries
from rotc.connection import connected
from rotc.migrate import migrate


@dataclass
class Service:
    """The push service, as its own process."""

    url: str
    http: httpx.AsyncClient

    async def browsers(self, count: int, sender: str) -> list[dict[str, Any]]:
        asked = {"count": count, "application_server_key": sender}
        answer = await self.http.post("/subscriptions", json=asked)
        told: list[dict[str, Any]] = answer.raise_for_status().json()["subscriptions"]
        return told

    async def answers(self, browsers: list[dict[str, Any]], **answer: Any) -> None:
        """Have these browsers answer so from now on."""
        for browser in browsers:
            put = await self.http.put(f"/subscriptions/{browser['id']}/answer", json=answer)
            put.raise_for_status()

    async def figures(self) -> dict[str, Any]:
        told: dict[str, Any] = (await self.http.get("/figures")).raise_for_status().json()
        return told

    async def messages(self, after: int) -> list[dict[str, Any]]:
        """What arrived after the message of this number."""
        answer = await self.http.get("/messages", params={"after": after})
        told: list[dict[str, Any]] = answer.raise_for_status().json()["messages"]
        return told


@asynccontextmanager
async def push_service(folder: Path, answer_ms: float) -> AsyncIterator[Service]:
    """Runs for as long as the block lasts."""
    port = free_port()
    started: list[ProcessIdentity] = []
    options = ("--port", str(port), "--folder", str(folder / "push"), "--answer-ms", str(answer_ms))
    command = (sys.executable, "-m", "muster_local.push_service", *options)
    part = ServicePart("push", command, {}, folder / "push.log", port)
    try:
        address = await asyncio.to_thread(part.start, started.append, lambda *_: None)
        url = f"http://{address}"
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=60) as http:
            yield Service(url, http)
    finally:
        for identity in started:
            await asyncio.to_thread(processes.stop, identity)


async def populate(dsn: str, browsers: Mapping[str, list[dict[str, Any]]]) -> None:
    """The backend's tables, and for each role as many approved people as browsers, one each."""
    async with connected(dsn) as connection:
        await migrate(connection)
        await push_deliveries.ensure(connection)
        first = 1
        for role, owned in browsers.items():
            await _people(connection, role, first, owned)
            first += len(owned)
    async with asyncpg.create_pool(dsn, min_size=1, max_size=1) as pool:
        await EffectStore(pool).ensure()


async def _people(connection: Any, role: str, first: int, owned: list[dict[str, Any]]) -> None:
    ids = list(range(first, first + len(owned)))
    await connection.execute(
        "INSERT INTO users (id, username, email, password, role, is_approved, created_at) "
        "SELECT n, 'u' || n, n || '@x', '', $2, true, now() FROM unnest($1::int[]) n",
        ids, role,
    )  # fmt: skip
    await connection.execute(
        "INSERT INTO push_subscriptions (user_id, endpoint, keys, created_at) "
        "SELECT r.id, r.endpoint, jsonb_build_object('p256dh', r.p256dh, 'auth', r.auth), now() "
        "FROM unnest($1::int[], $2::text[], $3::text[], $4::text[]) AS r (id, endpoint, p256dh, auth)",
        ids, [one["endpoint"] for one in owned], [one["keys"]["p256dh"] for one in owned],
        [one["keys"]["auth"] for one in owned],
    )  # fmt: skip


async def stored(dsn: str, role: str) -> int:
    """Browsers the database still has of this role."""
    query = "SELECT count(*) FROM push_subscriptions s JOIN users u ON u.id = s.user_id WHERE u.role = $1"
    async with connected(dsn) as connection:
        return int(await connection.fetchval(query, role))
