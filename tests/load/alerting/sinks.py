"""Where alerts arrive: a mail server and a webhook, either of which can be away. What arrives twice is counted here."""

from __future__ import annotations

import asyncio
import email
import re
from collections import Counter
from contextlib import AsyncExitStack, suppress
from email.policy import default

from aiohttp import web
from muster_local.mail_sink import smtp_server
from muster_local.mail_store import MailStore
from muster_local.ports import LOOPBACK, free_port


class Sinks:
    """Listening while the block lasts, on ports that stay the same."""

    def __init__(self) -> None:
        self.smtp_port, self.hook_port = free_port(), free_port()
        self.store = MailStore()
        self.hooks: list[str] = []
        self._stack = AsyncExitStack()
        self._door: asyncio.Server | None = None
        self._inside: set[asyncio.StreamWriter] = set()
        self._behind = 0

    async def __aenter__(self) -> Sinks:
        app = web.Application()
        app.add_routes([web.post("/alerts", self._hook)])
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        self._stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, LOOPBACK, self.hook_port).start()
        self._behind = await self._stack.enter_async_context(smtp_server(self.store, 0))
        await self.mail_comes_up()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.mail_goes_down()
        await self._stack.aclose()

    @property
    def hook_url(self) -> str:
        return f"json://{LOOPBACK}:{self.hook_port}/alerts"

    async def mail_comes_up(self) -> None:
        self._door = await asyncio.start_server(self._let_in, LOOPBACK, self.smtp_port)

    async def mail_goes_down(self) -> None:
        """Nobody is let in, and who is in loses the connection."""
        door, self._door = self._door, None
        if door is not None:
            door.close()
        for writer in self._inside:
            writer.transport.abort()

    def mails(self) -> Counter[str]:
        """How often each mail came, by its Message-ID, which every attempt at the same delivery shares."""
        messages = [email.message_from_bytes(mail.data, policy=default) for mail in self.store.mails]
        return Counter(str(message["Message-ID"]) for message in messages)

    def mails_about(self, cause: str) -> int:
        """Mails whose text names this cause."""
        return sum(1 for mail in self.store.mails if re.search(rf"\b{cause}\b", mail.part("plain") or ""))

    async def _let_in(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection(LOOPBACK, self._behind)
        ends = {writer, server_writer}
        self._inside |= ends
        try:
            await asyncio.gather(_pass_on(reader, server_writer), _pass_on(server_reader, writer))
        finally:
            self._inside -= ends
            for end in ends:
                end.close()

    async def _hook(self, request: web.Request) -> web.Response:
        said = await request.json()
        self.hooks.append(f"{said['title']} | {said['message']}")
        return web.Response()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Until either side has gone."""
    with suppress(ConnectionError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()
