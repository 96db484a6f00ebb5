"""The payload of a web push, as the app's service worker reads it, within what push services carry. Sends nothing."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping
from typing import Any

#: Push services carry 4,096 bytes (RFC 8030), of which encryption takes 103 (RFC 8291).
LARGEST_PAYLOAD_BYTES = 3993
SHORTENED = "…"
#: A message cut to less than this says nothing.
SHORTEST_BODY_BYTES = 40
MOST_ACTIONS = 4
_LONGEST_TEXT = 2048
_JOINERS = "\u200d\ufe0e\ufe0f"


class UnusablePush(ValueError):
    """What was asked for is no push: a field of `data` has a wrong form, or `data` leaves no room for the message."""


def build_payload(title: str, body: str, data: Mapping[str, Any] | None = None) -> bytes:
    """JSON in UTF-8: title, body, of `data` what a notification shows (icon, url, actions ...), the rest as `data`.

    A body for which there is no room is cut between characters and ends in an ellipsis.

    Raises UnusablePush.
    """
    content: dict[str, Any] = {"title": title, "body": "", **_shown(dict(data or {}))}
    room = LARGEST_PAYLOAD_BYTES - len(_encoded(content))
    if room < min(SHORTEST_BODY_BYTES, _length(body)):
        most = LARGEST_PAYLOAD_BYTES
        raise UnusablePush(
            f"title and data take {most - room} of the {most} bytes of a push: leave some to the message"
        )
    content["body"] = body if _length(body) <= room else _cut(body, room)
    return _encoded(content)


def _shown(data: dict[str, Any]) -> dict[str, Any]:
    """The fields of the payload that `data` decides, each checked."""
    found: dict[str, Any] = {}
    for name, check in _CHECKS.items():
        if (value := data.pop(name, None)) is not None:
            found[name] = check(name, value)
    if data:
        found["data"] = data
    return found


def _address(name: str, value: Any) -> str:
    if not isinstance(value, str) or len(value) > _LONGEST_TEXT or not _leads_somewhere(value):
        raise UnusablePush(f"data.{name} has to be a path such as /grades, or an https:// address")
    return value


def _leads_somewhere(value: str) -> bool:
    # "//host" and "/\host" are addresses of another host, and no paths.
    path = value.startswith("/") and value[1:2] not in ("/", "\\")
    return value.isprintable() and (path or value.startswith("https://"))


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise UnusablePush(f"data.{name} has to be true or false")
    return value


def _actions(name: str, value: Any) -> list[dict[str, str]]:
    if not isinstance(value, list) or len(value) > MOST_ACTIONS:
        raise UnusablePush(f"data.{name} has to be a list of at most {MOST_ACTIONS} buttons")
    for button in value:
        if not isinstance(button, dict) or not {"action", "title"} <= button.keys() <= {"action", "title", "icon"}:
            raise UnusablePush(f"data.{name}: a button has an action, a title and, if it likes, an icon")
        if not all(isinstance(text, str) and text for text in button.values()):
            raise UnusablePush(f"data.{name}: action, title and icon of a button are texts")
        if "icon" in button:
            _address(f"{name}.icon", button["icon"])
    return value


_CHECKS = {
    "icon": _address,
    "url": _address,
    "actions": _actions,
    "requireInteraction": _flag,
    "silent": _flag,
}


def _encoded(content: Mapping[str, Any]) -> bytes:
    # Half a surrogate pair is no character: it becomes a question mark.
    try:
        return json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode(errors="replace")
    except ValueError as error:
        raise UnusablePush("data holds a number that JSON cannot write") from error


def _length(text: str) -> int:
    """Bytes of the text inside the JSON: a quote and a line break take two."""
    return len(_encoded({"": text})) - len(_encoded({"": ""}))


def _cut(text: str, room: int) -> str:
    left, end = room - _length(SHORTENED), 0
    for character in text:
        left -= _length(character)
        if left < 0:
            break
        end += 1
    # Not inside what a reader sees as one character: a letter and its accents, a joined emoji.
    while end and (_continues(text[end]) or text[end - 1] == "\u200d"):
        end -= 1
    return text[:end].rstrip() + SHORTENED


def _continues(character: str) -> bool:
    return character in _JOINERS or bool(unicodedata.combining(character)) or "\U0001f3fb" <= character <= "\U0001f3ff"
