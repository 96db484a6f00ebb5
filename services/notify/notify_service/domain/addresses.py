"""Mail addresses: their syntax, and how they are told without being told. Whether anybody has one is not asked."""

from __future__ import annotations

import re
from email.headerregistry import Address
from email.utils import parseaddr

from email_validator import EmailNotValidError, validate_email

LONGEST = 320
_ANY_ADDRESS = re.compile(r"[^\s<>\"'(),:;@]+@[^\s<>\"'(),:;@]+")


class BadAddress(ValueError):
    """Not a mail address that a server would take; the text never repeats it."""


def parse_address(text: str) -> str:
    """The address as it goes over the wire: ASCII, the domain in lower case and in Punycode where it needs it.

    Raises: BadAddress.
    """
    if len(text) > LONGEST:
        raise BadAddress("not a mail address: it is too long")
    try:
        found = validate_email(text, check_deliverability=False, allow_smtputf8=False)
    except EmailNotValidError:
        # Its own text quotes what it complains about.
        raise BadAddress("not a mail address") from None
    return found.ascii_email or found.normalized


def parse_sender(text: str) -> Address:
    """A sender: `noreply@unit.example` or `ROTC Unit <noreply@unit.example>`.

    Raises: BadAddress.
    """
    if any(ord(character) < 32 for character in text):
        raise BadAddress("not a sender: it has control characters")
    name, address = parseaddr(text)
    return Address(name, addr_spec=parse_address(address or text))


def domain_of(address: str) -> str:
    return address.rpartition("@")[2].lower()


def masked(address: str) -> str:
    """`j***@cadets.example`: enough to recognise one's own, not enough to write to it."""
    local, at, domain = address.rpartition("@")
    return f"{local[:1]}***{at}{domain}"


def without_addresses(text: str, longest: int = 200) -> str:
    """Text of a mail server, with every address in it masked, on one line."""
    printable = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return _ANY_ADDRESS.sub(lambda found: masked(found[0]), printable)[:longest]
