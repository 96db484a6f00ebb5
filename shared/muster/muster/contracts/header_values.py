"""Text, whole numbers and instants as they stand in headers: read strictly, refused with a sentence. Pure.

Which header holds what is envelope.py's.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NoReturn

from muster.contracts.errors import InvalidRecord

Reader = Callable[[str, bytes], Any]
_DIGITS = re.compile(r"[0-9]{1,19}")


def refuse(what: str, wanted: str, got: str | None) -> NoReturn:
    """Raise InvalidRecord: what must be how, and what it is."""
    found = "it is missing" if got is None else f"got {got[:80]!r}"
    raise InvalidRecord(f"{what} must be {wanted}; {found}")


def read_text(name: str, raw: bytes) -> str:
    """Short text. Raises InvalidRecord."""
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise InvalidRecord(f"header {name} is not UTF-8 text") from error
    if len(text) > 1000 or "\x00" in text:
        refuse(f"header {name}", "at most 1,000 characters without NUL", text)
    return text


def whole_number(low: int, high: int) -> Reader:
    """A reader of numbers from `low` to `high`, which raises InvalidRecord."""

    def read(name: str, raw: bytes) -> int:
        text = read_text(name, raw)
        if not _DIGITS.fullmatch(text) or not low <= int(text) <= high:
            refuse(f"header {name}", f"a whole number from {low} to {high}", text)
        return int(text)

    return read


def read_instant(name: str, raw: bytes) -> datetime:
    """An RFC 3339 instant, in UTC. Raises InvalidRecord."""
    text = read_text(name, raw)
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        refuse(f"header {name}", "an RFC 3339 instant such as 2026-11-23T08:00:00Z", text)
    if instant.tzinfo is None:
        refuse(f"header {name}", "an RFC 3339 instant with its offset (Z)", text)
    try:
        return instant.astimezone(UTC)
    except OverflowError:
        refuse(f"header {name}", "an instant between the years 1 and 9999 in UTC", text)


def write_instant(instant: datetime) -> bytes:
    """The instant as headers hold it: RFC 3339, UTC, with a Z."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z").encode()
