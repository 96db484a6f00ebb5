"""The SMTP side of the local mail server: takes what it is given, except what its rules refuse. Delivers nothing."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from muster_local.mail_store import MailStore
from muster_local.ports import LOOPBACK

LARGEST_MAIL_BYTES = 32 * 1024 * 1024


class SinkHandler:
    """Called by aiosmtpd for each command."""

    def __init__(self, store: MailStore) -> None:
        self._store = store

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        refusal = self._store.rules.answer(address)
        if refusal is not None:
            return refusal
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        data = envelope.content or b""
        mail = self._store.add(envelope.mail_from or "", envelope.rcpt_tos, data if isinstance(data, bytes) else b"")
        await self._store.answerable()
        return f"250 2.0.0 taken as {mail.id}"


class _CountedSmtp(SMTP):
    """One connection, counted while it lasts."""

    def __init__(self, store: MailStore, **options: Any) -> None:
        super().__init__(SinkHandler(store), **options)
        self._store = store

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if self.transport is None:  # STARTTLS makes the same connection anew
            self._store.connections += 1
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._store.connections -= 1
        super().connection_lost(error)


@asynccontextmanager
async def smtp_server(
    store: MailStore,
    port: int,
    *,
    tls: ssl.SSLContext | None = None,
    implicit_tls: bool = False,
    login: tuple[str, str] | None = None,
) -> AsyncIterator[int]:
    """Listens on 127.0.0.1; the block is given the port. `tls` is offered by STARTTLS, unless it is implicit.

    `login` (user, password) is asked for after STARTTLS only: aiosmtpd does not see that a connection began with TLS.
    """

    def admitted(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: object) -> AuthResult:
        given = (data.login.decode(), data.password.decode()) if isinstance(data, LoginPassword) else None
        return AuthResult(success=given == login, handled=False)

    def connection() -> SMTP:
        return _CountedSmtp(
            store,
            ident="muster-local",
            hostname="localhost",
            data_size_limit=LARGEST_MAIL_BYTES,
            tls_context=None if implicit_tls else tls,
            require_starttls=tls is not None and not implicit_tls,
            auth_required=login is not None,
            authenticator=admitted if login else None,
            loop=asyncio.get_running_loop(),
        )

    server = await asyncio.get_running_loop().create_server(
        connection, LOOPBACK, port, ssl=tls if implicit_tls else None
    )
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
