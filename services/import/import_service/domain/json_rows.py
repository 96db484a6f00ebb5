"""Rows out of JSON, one at a time: a decoded list, or a text that may be too large to decode as a whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from import_service.domain.rows import Row

_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, UnicodeEncodeError, RecursionError)


class UnreadableRows(ValueError):
    """The text holds no list of rows."""


class _Envelope(msgspec.Struct):
    records: list[msgspec.Raw] | None = None
    data: list[msgspec.Raw] | None = None


def rows_of_list(rows: Sequence[object]) -> Iterator[Row]:
    """What is no object becomes a row without values, which validation refuses."""
    for number, row in enumerate(rows, 1):
        yield Row(number, row if isinstance(row, dict) else {})


def split(text: bytes | str) -> list[msgspec.Raw]:
    """The rows of a JSON text, found but not decoded: a list of them, or one in an object as `records` or `data`.

    Raises: UnreadableRows.
    """
    text = text.removeprefix(b"\xef\xbb\xbf") if isinstance(text, bytes) else text.removeprefix("\ufeff")
    try:
        found = msgspec.json.decode(text, type=list[msgspec.Raw] | _Envelope)
    except _UNREADABLE:
        raise UnreadableRows(
            "the text is no JSON list of rows, nor an object with one as `records` or `data`"
        ) from None
    if isinstance(found, list):
        return found
    if (found.records is None) == (found.data is None):
        raise UnreadableRows("the JSON object must hold the rows as `records` or as `data`")
    return found.records if found.records is not None else found.data or []


def rows_of_text(parts: Sequence[msgspec.Raw]) -> Iterator[Row]:
    """Decodes the rows of `split` one by one."""
    for number, part in enumerate(parts, 1):
        row: Any
        try:
            row = msgspec.json.decode(part)
        except _UNREADABLE:
            row = {}
        yield Row(number, row if isinstance(row, dict) else {})
