"""What the mail benchmark works on: the local mail server as its own process, and people. Measures nothing."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from muster_local import processes
from muster_local.parts import ServicePart
from muster_local.ports import free_port
from muster_local.processes import ProcessIdentity
from rotc import sent_mails
from rotc.connection import connected
from rotc.migrate import migrate

#: Every second one of the first addresses has an account, and with it a link that stops mail.
_ACCOUNTS = """
INSERT INTO users (username, email, password, role, is_approved, created_at)
SELECT address, address, '', 'cadet', true, now() FROM unnest($1::text[]) address
"""


@dataclass
class MailServer:
    """The server, and what it took."""

    smtp_port: int
    http: httpx.AsyncClient

    async def refuse(self, **rules: Any) -> None:
        (await self.http.put("/api/rules", json=rules)).raise_for_status()

    async def hold(self, at: int) -> None:
        (await self.http.put("/api/hold", json={"at": at})).raise_for_status()

    async def count(self) -> dict[str, int]:
        told: dict[str, int] = (await self.http.get("/api/count")).raise_for_status().json()
        return told

    async def quiet(self) -> None:
        """Returns when nobody is connected: what was sent has been read."""
        while (await self.count())["connections"]:  # noqa: ASYNC110  it is another process
            await asyncio.sleep(0.01)

    async def taken(self) -> list[dict[str, Any]]:
        told: list[dict[str, Any]] = (await self.http.get("/api/messages")).raise_for_status().json()
        return told

    async def data(self, mail_id: int) -> bytes:
        return (await self.http.get(f"/messages/{mail_id}.eml")).raise_for_status().content

    async def forget(self) -> None:
        (await self.http.delete("/api/messages")).raise_for_status()


@asynccontextmanager
async def mail_server(folder: Path) -> AsyncIterator[MailServer]:
    """Runs for as long as the block lasts."""
    port, smtp_port = free_port(), free_port()
    started: list[ProcessIdentity] = []
    command = (sys.executable, "-m", "muster_local.mailbox", "--smtp-port", str(smtp_port), "--port", str(port))
    part = ServicePart("mail", command, {}, folder / "mail.log", port)
    try:
        await asyncio.to_thread(part.start, started.append, lambda *_: None)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60) as http:
            yield MailServer(smtp_port, http)
    finally:
        for identity in started:
            await asyncio.to_thread(processes.stop, identity, timeout_seconds=5)


async def populate(dsn: str, addresses: list[str]) -> None:
    """The tables, and an account for every second address."""
    async with connected(dsn) as connection:
        await migrate(connection)
        await sent_mails.ensure(connection)
        await connection.execute(_ACCOUNTS, addresses[::2])


async def written_down(dsn: str, task_id: str) -> set[str]:
    """The keys of the recipients who are known to have their mail."""
    async with connected(dsn) as connection:
        return {key for key, one in (await sent_mails.outcomes(connection, task_id)).items() if one.state == "sent"}
