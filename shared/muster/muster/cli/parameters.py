"""Task parameters as they are typed on a command line: KEY=TEXT, KEY:=JSON, KEY@FILE. Pure, but for reading files."""

from __future__ import annotations

import base64
import re
import sys
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from muster.contracts.errors import ConfigurationError

_FORM = re.compile(r"(?P<key>[^=:@\s][^=:@]*)(?P<sign>:=|=|@)(?P<value>.*)", re.DOTALL)


class BadParameter(ConfigurationError):
    """What was typed is no parameter; the message says how to write it."""


def parse_parameters(typed: Iterable[str], document: str | None = None) -> dict[str, Any]:
    """Parameters of a document (a JSON object; `-` for standard input, else a file), then the typed ones over it.

    Raises:
        BadParameter
    """
    parameters = _object(_read(document), document) if document else {}
    for item in typed:
        key, value = _parse(item)
        parameters[key] = value
    return parameters


def parse_instant(text: str) -> datetime:
    """An instant with its offset, such as 2026-11-23T18:00:00+08:00.

    Raises:
        BadParameter
    """
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise BadParameter(f"{text[:60]!r} is no instant: write it like 2026-11-23T18:00:00+08:00") from None
    if instant.tzinfo is None:
        raise BadParameter(f"{text} lacks its offset: write it like {text}+08:00, or {text}Z for UTC")
    return instant


def _parse(item: str) -> tuple[str, Any]:
    match = _FORM.fullmatch(item)
    if match is None:
        raise BadParameter(f"{item[:60]!r} is no parameter: write KEY=TEXT, KEY:=JSON or KEY@FILE")
    key, sign, value = match.group("key", "sign", "value")
    if sign == "=":
        return key, value
    if sign == "@":
        return key, base64.b64encode(_read(value)).decode()
    try:
        return key, msgspec.json.decode(value)
    except msgspec.DecodeError as error:
        raise BadParameter(f"{key}:= is not followed by JSON ({error}): quote it, as in '{key}:=[1, 2]'") from None


def _read(name: str) -> bytes:
    if name == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(name).expanduser().read_bytes()
    except OSError as error:
        raise BadParameter(f"{name} cannot be read: {error.strerror}") from None


def _object(content: bytes, name: str) -> dict[str, Any]:
    source = "standard input" if name == "-" else name
    try:
        value = msgspec.json.decode(content)
    except msgspec.DecodeError as error:
        raise BadParameter(f"{source} is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise BadParameter(f"{source} must hold one JSON object of parameters")
    return value
