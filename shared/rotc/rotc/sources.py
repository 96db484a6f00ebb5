"""Turns a file that a caller sent into bytes: base64 text, a `data:` URL or an `https:` URL. It is not looked into."""

from __future__ import annotations

import base64
import binascii
import string
from typing import Protocol
from urllib.parse import unquote_to_bytes

from muster.contracts.errors import PermanentError

MB = 1024 * 1024
_TO_STANDARD_ALPHABET = str.maketrans("-_", "+/")
_NO_WHITESPACE = str.maketrans("", "", string.whitespace)


class UnusableSource(PermanentError):
    """What was sent is none of the forms that are read here, or too large to be read."""


class Fetches(Protocol):
    """Gets a file from a URL that a stranger named."""

    async def fetch(self, url: str, *, max_bytes: int) -> bytes: ...


async def load(text: str, fetcher: Fetches, *, max_bytes: int) -> bytes:
    """The bytes that `text` stands for.

    Raises:
        UnusableSource: it cannot be read as any of the three forms, or stands for more than max_bytes.
        FetchRefused, FetchFailed: see muster.adapters.fetching.
    """
    start = text[:8].lower()
    if start.startswith(("http:", "https:")):
        return await fetcher.fetch(text, max_bytes=max_bytes)
    data = _from_data_url(text) if start.startswith("data:") else from_base64(text)
    if len(data) > max_bytes:
        raise UnusableSource(f"The file has {len(data) / MB:.1f} MB, at most {max_bytes // MB} MB are accepted.")
    return data


def _from_data_url(url: str) -> bytes:
    head, comma, content = url.partition(",")
    if not comma:
        raise UnusableSource("The data: URL has no comma before its content.")
    # The media type in front is the sender's opinion; the type is told from the bytes later on.
    if head.rstrip().lower().endswith(";base64"):
        return from_base64(unquote_to_bytes(content).decode("latin-1"))
    return unquote_to_bytes(content)


def from_base64(text: str) -> bytes:
    """Bytes from base64 in either alphabet, with or without line breaks and padding.

    Raises UnusableSource.
    """
    compact = text.translate(_NO_WHITESPACE).translate(_TO_STANDARD_ALPHABET).rstrip("=")
    try:
        return base64.b64decode(compact + "=" * (-len(compact) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise UnusableSource("The file is neither base64 text, nor a data: URL, nor an https: URL.") from error
