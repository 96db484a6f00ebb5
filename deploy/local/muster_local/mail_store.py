"""The mails that the local server took, newest first, and which addresses it is told to refuse. No network here."""

from __future__ import annotations

import asyncio
import email
import re
from collections import Counter, deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import default
from itertools import count
from typing import Any

MOST_MAILS = 5_000


@dataclass(frozen=True)
class StoredMail:
    """One mail as it came; `recipients` are those of the envelope."""

    id: int
    received_at: datetime
    sender: str
    recipients: tuple[str, ...]
    data: bytes = field(repr=False)

    @property
    def message(self) -> EmailMessage:
        return email.message_from_bytes(self.data, policy=default)

    def part(self, kind: str) -> str | None:
        """Its text (`plain`) or `html`; None when it has none."""
        found = self.message.get_body((kind,))
        return None if found is None else str(found.get_content())

    def summary(self) -> dict[str, Any]:
        message = self.message
        return {
            "id": self.id,
            "received_at": self.received_at.isoformat(),
            "from": str(message["From"]),
            "to": list(self.recipients),
            "subject": str(message["Subject"]),
            "message_id": str(message["Message-ID"]),
            "bytes": len(self.data),
        }


@dataclass
class RefusalRules:
    """Regular expressions over addresses; an empty one matches nobody."""

    #: Refused with 451 the first `temporary_times` times.
    temporary: str = ""
    temporary_times: int = 1
    #: Refused with 550 every time.
    permanent: str = ""

    def __post_init__(self) -> None:
        self._asked: Counter[str] = Counter()
        # Compiled here, so that a bad one is refused when it is given.
        self._temporary, self._permanent = re.compile(self.temporary), re.compile(self.permanent)

    def answer(self, address: str) -> str | None:
        """What the server says instead of 250; None: it takes the address."""
        if self.permanent and self._permanent.search(address):
            return f"550 5.1.1 <{address}>: no such mailbox here"
        if self.temporary and self._temporary.search(address):
            self._asked[address] += 1
            if self._asked[address] <= self.temporary_times:
                return f"451 4.7.1 <{address}>: come back later"
        return None


@dataclass
class MailStore:
    """Everything in memory, the oldest forgotten first."""

    rules: RefusalRules = field(default_factory=RefusalRules)
    mails: deque[StoredMail] = field(default_factory=lambda: deque(maxlen=MOST_MAILS))
    #: Clients that are connected now.
    connections: int = 0
    #: From so many mails on, a mail is taken and the client hears nothing; 0: never.
    hold_at: int = 0
    _released: asyncio.Event = field(default_factory=asyncio.Event)
    _ids: count[int] = field(default_factory=lambda: count(1))

    def add(self, sender: str, recipients: list[str], data: bytes) -> StoredMail:
        mail = StoredMail(next(self._ids), datetime.now(UTC), sender, tuple(recipients), data)
        self.mails.appendleft(mail)
        return mail

    def hold(self, at: int) -> None:
        """Clients that hear nothing now are answered, unless they are held again."""
        self.hold_at = at
        self._released.set()
        self._released = asyncio.Event()

    async def answerable(self) -> None:
        """Returns when the client may hear that its mail was taken."""
        while self.hold_at and len(self.mails) >= self.hold_at:
            await self._released.wait()

    def recipients(self) -> list[str]:
        """Of every mail, sorted; somebody who got two stands there twice."""
        return sorted(recipient for mail in self.mails for recipient in mail.recipients)

    def find(self, mail_id: int) -> StoredMail | None:
        return next((mail for mail in self.mails if mail.id == mail_id), None)
