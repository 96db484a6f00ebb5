"""A mail as the bytes that go to the server (RFC 5322). What it says is mail_texts', sending it is mail's."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address, HeaderRegistry, UniqueUnstructuredHeader
from email.message import EmailMessage
from email.policy import SMTP, Policy
from email.utils import format_datetime

from notify_service.domain.addresses import domain_of


@dataclass(frozen=True)
class Words:
    """What a mail says, in both forms."""

    subject: str
    text: str
    html: str


@dataclass(frozen=True)
class Mail:
    """One mail to one person."""

    sender: Address
    recipient: str
    words: Words
    message_id: str
    date: datetime
    #: Where one request stops further mails; None: the recipient has no account with such a setting.
    unsubscribe: str | None = None


class _LinkHeader(UniqueUnstructuredHeader):
    """A header that holds one link: folded as any other, a long one would be encoded, and nobody would find it."""

    def fold(self, *, policy: Policy) -> str:
        return f"{self.name}: {self}{policy.linesep}"  # type: ignore[attr-defined]  # typeshed knows it of BaseHeader


_HEADERS = HeaderRegistry()
_HEADERS.map_to_type("list-unsubscribe", _LinkHeader)  # type: ignore[arg-type]  # mixed into BaseHeader, as its own are
_POLICY = SMTP.clone(header_factory=_HEADERS, cte_type="7bit")


def message_id(task_id: str, recipient: str, domain: str) -> str:
    """The same in every run of a task, so that a mail that came twice all the same is known for one."""
    seed = f"{task_id}\0{recipient.lower()}".encode()
    return f"<{hashlib.sha256(seed).hexdigest()[:32]}@{domain}>"


def encode(mail: Mail) -> bytes:
    """Lines of at most 998 characters that end with CRLF, nothing but ASCII."""
    message = EmailMessage(policy=_POLICY)
    message["From"] = mail.sender
    message["To"] = Address(addr_spec=mail.recipient)
    message["Subject"] = mail.words.subject
    message["Date"] = format_datetime(mail.date)
    message["Message-ID"] = mail.message_id
    # RFC 3834: who is away shall not answer.
    message["Auto-Submitted"] = "auto-generated"
    if mail.unsubscribe is not None:
        message["List-Unsubscribe"] = f"<{mail.unsubscribe}>"
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    message.set_content(mail.words.text, cte="quoted-printable")
    # The boundary is drawn by chance otherwise; what is sent again shall be the same bytes.
    message.add_alternative(mail.words.html, subtype="html", cte="quoted-printable")
    message.set_boundary(f"=_{hashlib.sha256(mail.message_id.encode()).hexdigest()[:32]}")
    return message.as_bytes()


def sender_domain(sender: Address) -> str:
    return domain_of(sender.addr_spec)
