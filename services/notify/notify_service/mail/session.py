"""One connection to the mail server, which carries one mail at a time. Which connection carries what is pool's."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass, field
from typing import Protocol

import aiosmtplib

from notify_service.domain.addresses import without_addresses
from notify_service.mail.errors import ConnectionBroke, MailRefused, MailServerDown

_BROKEN = (aiosmtplib.SMTPServerDisconnected, aiosmtplib.SMTPTimeoutError, ConnectionError, TimeoutError, OSError)
#: "Service not available, closing transmission channel."
_CLOSING = 421
_FINAL = 500
_QUIT_SECONDS = 2.0


@dataclass(frozen=True)
class MailServer:
    """Where mail is handed in, and as whom. `timeout`: seconds for one answer."""

    host: str
    port: int
    start_tls: bool = True
    implicit_tls: bool = False
    user: str = ""
    password: str = field(default="", repr=False)
    timeout: float = 30.0
    #: Which certificates are believed; None: those the machine believes.
    tls: ssl.SSLContext | None = field(default=None, repr=False)


class Session(Protocol):
    """What the pool keeps."""

    @property
    def usable(self) -> bool: ...

    async def send(self, sender: str, recipient: str, data: bytes) -> None: ...

    async def answers(self) -> bool: ...

    async def close(self) -> None: ...


class SmtpSession:
    """Logged in, with TLS as the server's settings ask for it."""

    def __init__(self, smtp: aiosmtplib.SMTP) -> None:
        self._smtp = smtp
        self._broken = False

    @classmethod
    async def open(cls, server: MailServer) -> SmtpSession:
        """Raises: MailServerDown."""
        smtp = aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            use_tls=server.implicit_tls,
            start_tls=server.start_tls and not server.implicit_tls,
            username=server.user or None,
            password=server.password or None,
            timeout=server.timeout,
            tls_context=server.tls,
            # The default asks the DNS for our own name, which may take half a minute.
            local_hostname=socket.gethostname(),
        )
        try:
            await smtp.connect()
        except (aiosmtplib.SMTPException, OSError) as error:
            told = without_addresses(str(error) or type(error).__name__)
            raise MailServerDown(f"the mail server {server.host}:{server.port} cannot be used: {told}") from error
        return cls(smtp)

    @property
    def usable(self) -> bool:
        return not self._broken and self._smtp.is_connected

    async def send(self, sender: str, recipient: str, data: bytes) -> None:
        """Returns when the server has taken the responsibility for the mail (250 after its last line).

        Raises: MailRefused; MailServerDown when it is the sender who is refused; ConnectionBroke.
        """
        unsure = False
        try:
            await self._smtp.mail(sender)
            await self._smtp.rcpt(recipient)
            unsure = True
            await self._smtp.data(data)
        except aiosmtplib.SMTPResponseException as error:
            await self._refused(error)
        except _BROKEN as error:
            self._broken = True
            raise ConnectionBroke(str(error) or type(error).__name__, unsure=unsure) from error
        except BaseException:  # cancelled: what the server will say next belongs to this mail
            self._broken = True
            raise

    async def _refused(self, error: aiosmtplib.SMTPResponseException) -> None:
        if error.code == _CLOSING:
            self._broken = True
            raise ConnectionBroke(f"{error.code} {error.message}", unsure=False) from error
        await self._reset()
        if isinstance(error, aiosmtplib.SMTPSenderRefused) and error.code >= _FINAL:
            # Not this recipient's fault: it would be the same for everybody.
            told = without_addresses(error.message)
            raise MailServerDown(f"the mail server takes no mail from this sender: {error.code} {told}") from error
        raise MailRefused(error.code, error.message) from error

    async def _reset(self) -> None:
        """The next mail must not begin in the middle of a refused one."""
        try:
            await self._smtp.rset()
        except (aiosmtplib.SMTPException, OSError):
            self._broken = True

    async def answers(self) -> bool:
        """Whether the server is still there."""
        try:
            await self._smtp.noop()
        except (aiosmtplib.SMTPException, OSError):
            self._broken = True
        return self.usable

    async def close(self) -> None:
        """Politely if that is quick."""
        if self.usable:
            try:
                await self._smtp.quit(timeout=_QUIT_SECONDS)
            except (aiosmtplib.SMTPException, OSError):
                self._broken = True
        self._smtp.close()
