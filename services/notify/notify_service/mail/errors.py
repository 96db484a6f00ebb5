"""What can go wrong with mail, and whether it will pass. No logic lives here.

MailError
├── MailServerDown        no connection, or no login: nothing was sent, everything is worth another try
├── ConnectionBroke       the server left in the middle of one mail
└── MailRefused           the server refused this one mail
"""

from __future__ import annotations

from notify_service.domain.addresses import without_addresses


class MailError(Exception):
    """Root; the texts hold no address."""


class MailServerDown(MailError):
    """The server cannot be reached, does not let us in, or takes no mail from our sender."""


class ConnectionBroke(MailError):
    """The connection was lost; when `unsure`, the whole mail was under way and may have been taken."""

    def __init__(self, reason: str, *, unsure: bool) -> None:
        super().__init__(f"the connection to the mail server broke: {without_addresses(reason)}")
        self.unsure = unsure


class MailRefused(MailError):
    """The server's own code and words for one recipient."""

    def __init__(self, code: int, reason: str) -> None:
        self.code = code
        self.reason = without_addresses(reason)
        super().__init__(f"the mail server refused it: {code} {self.reason}")

    @property
    def is_final(self) -> bool:
        """5xx: trying again is useless (RFC 5321 4.2.1)."""
        return self.code >= 500
