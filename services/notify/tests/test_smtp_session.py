"""Connections to a real SMTP server: what its answers mean, TLS, login, and which connections are used again."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from muster_local.mail_sink import smtp_server
from muster_local.mail_store import MailStore, RefusalRules
from notify_service.mail.errors import ConnectionBroke, MailRefused, MailServerDown
from notify_service.mail.pool import PoolLimits, SmtpPool
from notify_service.mail.session import MailServer, SmtpSession

MAIL = b"From: a@unit.example\r\nTo: b@cadets.example\r\nSubject: x\r\n\r\nText\r\n.\r\nmore\r\n"


@dataclass
class Office:
    """What the server took, and how to reach it."""

    store: MailStore
    server: MailServer


@asynccontextmanager
async def post_office(**options: Any) -> AsyncIterator[Office]:
    store = MailStore()
    async with smtp_server(store, 0, **options) as port:
        yield Office(store, MailServer("127.0.0.1", port, start_tls=False, timeout=10))


@pytest.fixture
async def office() -> AsyncIterator[Office]:
    async with post_office() as office:
        yield office


async def test_a_mail_arrives_as_it_was_sent(office: Office) -> None:
    session = await SmtpSession.open(office.server)
    await session.send("a@unit.example", "b@cadets.example", MAIL)
    await session.close()

    [mail] = office.store.mails
    assert (mail.sender, mail.recipients, mail.data) == ("a@unit.example", ("b@cadets.example",), MAIL)


async def test_a_refused_recipient_does_not_spoil_the_connection(office: Office) -> None:
    office.store.rules = RefusalRules(temporary="busy", permanent="gone")
    session = await SmtpSession.open(office.server)

    with pytest.raises(MailRefused, match="550") as final:
        await session.send("a@unit.example", "gone@cadets.example", MAIL)
    with pytest.raises(MailRefused, match="451") as passing:
        await session.send("a@unit.example", "busy@cadets.example", MAIL)
    await session.send("a@unit.example", "busy@cadets.example", MAIL)
    await session.close()

    assert final.value.is_final
    assert not passing.value.is_final
    assert "gone@" not in str(final.value)
    assert office.store.recipients() == ["busy@cadets.example"]


async def test_no_server_is_no_connection(office: Office) -> None:
    nobody = replace(office.server, port=1)

    with pytest.raises(MailServerDown, match=r"the mail server 127\.0\.0\.1:1 cannot be used"):
        await SmtpSession.open(nobody)


@dataclass
class Tls:
    server: ssl.SSLContext
    client: ssl.SSLContext


@pytest.fixture
def tls(tmp_path: Path) -> Tls:
    """A certificate of 127.0.0.1 that signs itself."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (tmp_path / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (tmp_path / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    return Tls(server, ssl.create_default_context(cafile=str(tmp_path / "cert.pem")))


async def test_mail_and_password_go_over_starttls(tls: Tls) -> None:
    async with post_office(tls=tls.server, login=("unit", "secret")) as office:
        server = replace(office.server, start_tls=True, tls=tls.client, user="unit", password="secret")
        session = await SmtpSession.open(server)
        await session.send("a@unit.example", "b@cadets.example", MAIL)
        await session.close()
        with pytest.raises(MailServerDown, match="535"):
            await SmtpSession.open(replace(server, password="wrong"))
        with pytest.raises(MailServerDown, match="certificate"):
            await SmtpSession.open(replace(server, tls=None))

    assert office.store.recipients() == ["b@cadets.example"]
    assert "secret" not in repr(server)


async def test_tls_may_begin_with_the_first_byte(tls: Tls) -> None:
    async with post_office(tls=tls.server, implicit_tls=True) as office:
        server = replace(office.server, implicit_tls=True, tls=tls.client)
        session = await SmtpSession.open(server)
        await session.send("a@unit.example", "b@cadets.example", MAIL)
        await session.close()
        with pytest.raises(MailServerDown, match="certificate"):
            await SmtpSession.open(replace(server, tls=None))

    assert office.store.recipients() == ["b@cadets.example"]


async def test_a_server_without_tls_gets_nothing_when_tls_is_asked_for(office: Office) -> None:
    with pytest.raises(MailServerDown, match="STARTTLS"):
        await SmtpSession.open(replace(office.server, start_tls=True, user="unit", password="secret"))


@dataclass
class Counted:
    """Opens sessions and counts them."""

    server: MailServer
    opened: int = 0

    async def open(self) -> SmtpSession:
        self.opened += 1
        return await SmtpSession.open(self.server)


async def send(pool: SmtpPool[SmtpSession], number: int = 0, *, fresh: bool = False) -> None:
    async with pool.lease(fresh=fresh) as session:
        await session.send("a@unit.example", f"b{number}@cadets.example", MAIL)


async def test_twenty_mails_at_once_share_three_connections(office: Office) -> None:
    counted = Counted(office.server)
    pool = SmtpPool(counted.open, PoolLimits(size=3))

    await asyncio.gather(*(send(pool, number) for number in range(20)))
    await pool.close()

    assert counted.opened == 3
    assert len(set(office.store.recipients())) == len(office.store.recipients()) == 20


async def test_a_connection_is_replaced_when_it_rested_too_long_carried_enough_or_is_gone(office: Office) -> None:
    counted, now = Counted(office.server), [0.0]
    pool = SmtpPool(counted.open, PoolLimits(size=1, mails=3), clock=lambda: now[0])

    await send(pool)
    now[0] = 59.0  # it is asked whether it is still there
    await send(pool)
    assert counted.opened == 1
    now[0] = 200.0
    await send(pool)
    assert counted.opened == 2
    for _ in range(2):
        await send(pool)
    await send(pool)
    assert counted.opened == 3
    await send(pool, fresh=True)
    assert counted.opened == 4
    await pool.close()


@asynccontextmanager
async def rude_server(hangs_up_at: bytes) -> AsyncIterator[MailServer]:
    """Speaks SMTP up to this line, then leaves without a word."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 rude\r\n")
        in_data = False
        while (line := await reader.readline()) and not line.startswith(hangs_up_at):
            if not in_data:
                in_data = line.startswith(b"DATA")
                writer.write(b"354 go on\r\n" if in_data else b"250 OK\r\n")
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        yield MailServer("127.0.0.1", server.sockets[0].getsockname()[1], start_tls=False, timeout=10)


@pytest.mark.parametrize(("hangs_up_at", "unsure"), [(b"MAIL", False), (b"RCPT", False), (b".\r\n", True)])
async def test_after_the_last_line_nobody_knows_whether_the_mail_was_taken(hangs_up_at: bytes, unsure: bool) -> None:
    async with rude_server(hangs_up_at) as server:
        session = await SmtpSession.open(server)
        with pytest.raises(ConnectionBroke) as broke:
            await session.send("a@unit.example", "b@cadets.example", MAIL)
        await session.close()

    assert broke.value.unsure is unsure
    assert not session.usable
