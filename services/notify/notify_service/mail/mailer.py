"""Hands one mail to the server: whose sender, which words around it, which unsubscribe link. Keeps no record of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from email.headerregistry import Address

import rotc.unsubscription
from muster.contracts.errors import ConfigurationError
from rotc.errors import WeakUnsubscribeKey

from notify_service.domain.addresses import BadAddress, parse_sender
from notify_service.domain.mail_message import Mail, Words, encode, message_id, sender_domain
from notify_service.domain.mail_texts import Stationery
from notify_service.mail.errors import ConnectionBroke
from notify_service.mail.pool import PoolLimits, SmtpPool
from notify_service.mail.session import MailServer, SmtpSession
from notify_service.settings import NotifySettings

#: How long a cancelled task still waits for the server's word on a mail that is under way; in seconds.
_LAST_WORD = 2.0

#: Called right after the server has taken a mail, before anybody can cut in.
Taken = Callable[[], Awaitable[None]]
#: The words of a mail, given the unsubscribe link (None: there is none).
Compose = Callable[[str | None], Words]


@dataclass(frozen=True)
class Mailer:
    """How this worker mails."""

    pool: SmtpPool[SmtpSession]
    sender: Address
    stationery: Stationery
    public_url: str
    #: The first signs unsubscribe links; none: no links.
    unsubscribe_keys: tuple[bytes, ...]
    now: Callable[[], datetime]

    def message_id(self, task_id: str, recipient: str) -> str:
        return message_id(task_id, recipient, sender_domain(self.sender))

    def sent_by(self, sender: Address | None) -> Mailer:
        return self if sender is None else replace(self, sender=sender)

    def unsubscribe_link(self, user_id: int | None) -> str | None:
        """None for people without an account: they have no setting to turn off."""
        if user_id is None or not self.unsubscribe_keys:
            return None
        return rotc.unsubscription.link_of(self.public_url, user_id, self.unsubscribe_keys[0])

    async def hand_in(
        self, task_id: str, recipient: str, compose: Compose, *, user_id: int | None, taken: Taken
    ) -> None:
        """Returns when the server has taken the mail and `taken` has been told.

        Args:
            recipient: as `parse_address` gives it.
            user_id: users.id of the recipient, None for strangers.

        Raises: MailRefused, MailServerDown, ConnectionBroke.
        """
        link = self.unsubscribe_link(user_id)
        mail = Mail(
            self.sender, recipient, compose(link), self.message_id(task_id, recipient), self.now(), link
        )  # fmt: skip
        data = encode(mail)
        try:
            await self._send(recipient, data, taken, fresh=False)
        except ConnectionBroke as error:
            if error.unsure:  # it may have been taken: not twice in a row
                raise
            await self._send(recipient, data, taken, fresh=True)

    async def _send(self, recipient: str, data: bytes, taken: Taken, *, fresh: bool) -> None:
        async with self.pool.lease(fresh=fresh) as session:

            async def send() -> None:
                await session.send(self.sender.addr_spec, recipient, data)
                await taken()

            await _whole(send())


async def _whole(work: Awaitable[None]) -> None:
    """A task that is cancelled between the server's word and the record of it would send the mail again."""
    running = asyncio.ensure_future(work)
    try:
        await asyncio.shield(running)
    except asyncio.CancelledError:
        await _end(running)
        raise


async def _end(running: asyncio.Future[None]) -> None:
    """Until then the connection is not given back, however often we are cancelled."""
    loop = asyncio.get_running_loop()
    until = loop.time() + _LAST_WORD
    while not running.done():
        left = until - loop.time()
        if left <= 0:
            running.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.wait({running}, timeout=max(left, 0.1))
    if not running.cancelled():
        running.exception()  # read, so that nobody warns of it


@asynccontextmanager
async def configured_mail(settings: NotifySettings, now: Callable[[], datetime]) -> AsyncIterator[Mailer | None]:
    """The worker's mailer, whose connections end with the block; None where no mail server is named.

    Raises: ConfigurationError.
    """
    mailer = mailer_of(settings, now)
    try:
        yield mailer
    finally:
        if mailer is not None:
            await mailer.pool.close()


def mailer_of(settings: NotifySettings, now: Callable[[], datetime]) -> Mailer | None:
    """None where no mail server is named.

    Raises: ConfigurationError.
    """
    try:
        sender = parse_sender(settings.default_from_email)
    except BadAddress as error:
        raise ConfigurationError(f"DEFAULT_FROM_EMAIL is {error}") from None
    try:
        keys = rotc.unsubscription.parse_keys(settings.unsubscribe_keys.get_secret_value())
    except WeakUnsubscribeKey as error:
        raise ConfigurationError(str(error)) from None
    if not settings.email_host:
        return None
    server = server_of(settings)
    pool = SmtpPool(lambda: SmtpSession.open(server), PoolLimits(size=settings.email_connections))
    stationery = Stationery(settings.notify_school, settings.notify_unit, settings.notify_app_url)
    return Mailer(pool, sender, stationery, settings.notify_public_url, keys, now)


def server_of(settings: NotifySettings) -> MailServer:
    return MailServer(
        settings.email_host,
        settings.email_port,
        start_tls=settings.email_use_tls,
        implicit_tls=settings.email_use_ssl,
        user=settings.email_host_user,
        password=settings.email_host_password.get_secret_value(),
        timeout=settings.email_timeout,
    )
