"""What may not stand in logs and error texts, taken out by key and by pattern. Pure: no logging, no I/O.

A net under the code, not a licence: parameters and results of tasks are not logged in the first place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import pairwise
from typing import Any

HIDDEN = "[hidden]"
#: Longest text kept of one value; a traceback is cut at its own, larger limit.
TEXT_LIMIT = 2_000
#: Source characters past the limit that the patterns still see, so that a secret cut in two is not half shown.
_MARGIN = 500
_ITEMS, _DEPTH = 50, 6
#: Source characters in which embedded files are looked for; what lies beyond is cut anyway.
_SCANNED = 100_000
_PLAIN = (bool, int, float)

_SECRET_WORDS = frozenset(
    {"password", "passwd", "pwd", "passphrase", "secret", "token", "authorization", "cookie", "credential", "dsn"}
    | {"jwt", "signature", "csrf", "session", "email", "mail", "address", "phone", "mobile", "contact"}
    | {"birthdate", "birthday", "birthplace", "guardian", "recipient"}
)
_SECRET_PAIRS = frozenset(
    {"api key", "private key", "access key", "image data", "json data", "ocr text", "birth date"} | {"updates data"}
)
#: Whole names: `file` and `data` are rosters of people; `file_url` is where one lies.
_SECRET_NAMES = frozenset({"file", "data"})
#: Words that look secret but say something else: `email_status`, `session_timeout`, `token_count`.
_HARMLESS_ENDS = frozenset({"count", "total", "status", "timeout", "seconds", "ms", "type", "kind", "limit"})
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+")

_BASE64 = re.compile(r"(data:[\w.+/-]{1,100};base64,)?[A-Za-z0-9+/_-]{160,}={0,2}")
_SHORTEST_FILE = 160
_USERINFO = re.compile(r"(\b[a-z][a-z0-9+.-]{1,20}://[^\s:/@]{0,200}):[^\s/]{1,500}@", re.IGNORECASE)
_SCHEME = re.compile(r"\b(bearer|basic|apikey)\s+[A-Za-z0-9._~+/=-]{6,}", re.IGNORECASE)
_JWT = re.compile(r"\beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}(\.[A-Za-z0-9_-]*)?")
_ASSIGNED = re.compile(
    r"\b((?:[a-z]{1,20}[_-]){0,2}(?:password|passwd|pwd|secret|token|api[_-]?key|signature|authorization))"
    r"(['\"]?\s{0,3}[=:]\s{0,3}['\"]?)[^\s'\"&,;]{1,500}",
    re.IGNORECASE,
)
_EMAIL = re.compile(r"[A-Za-z0-9._%+'-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,8}")


def redact_text(text: str, *, limit: int = TEXT_LIMIT) -> str:
    """The text without passwords, tokens, mail addresses and embedded files, at most `limit` characters long."""
    short = _BASE64.sub(_cut, text[:_SCANNED]) if len(text) >= _SHORTEST_FILE else text
    head = _without_secrets(short[: limit + _MARGIN])
    if len(short) > limit + _MARGIN:
        head = head[: max(0, len(head) - _MARGIN)]
    elif len(head) <= limit:
        return head
    return f"{head[:limit]}... [{len(text):,} characters in all]"


def redact(value: Any, *, limit: int = TEXT_LIMIT) -> Any:
    """The value as plain JSON types, redacted; long lists and deep nesting are cut."""
    return _redact(value, limit, _DEPTH)


@lru_cache(maxsize=2048)
def is_secret_key(key: str) -> bool:
    """True when a value under this key is hidden whatever it holds."""
    if key in _SECRET_NAMES:
        return True
    words = [word.lower() for word in _WORD.findall(key)]
    if not words or words[-1] in _HARMLESS_ENDS:
        return False
    singular = {word.removesuffix(end) for word in words for end in ("s", "es")}
    pairs = {f"{a} {b}" for a, b in pairwise(words)}
    return bool(_SECRET_WORDS & (singular | set(words)) or _SECRET_PAIRS & pairs or "apikey" in words)


def _without_secrets(text: str) -> str:
    """Each pattern runs only where its mark stands: most texts of a log have none."""
    if "@" in text:
        text = _EMAIL.sub("[email]", _USERINFO.sub(rf"\1:{HIDDEN}@", text))
    if " " in text or "\t" in text or "\n" in text:
        text = _SCHEME.sub(rf"\1 {HIDDEN}", text)
    if "eyJ" in text:
        text = _JWT.sub(HIDDEN, text)
    if "=" in text or ":" in text:
        text = _ASSIGNED.sub(rf"\1\2{HIDDEN}", text)
    return text


def _cut(match: re.Match[str]) -> str:
    return f"{match.group(1) or ''}[cut {len(match.group(0)):,} characters]"


def _redact(value: Any, limit: int, depth: int) -> Any:
    if isinstance(value, str):
        return redact_text(value, limit=limit)
    if value is None or isinstance(value, _PLAIN):
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        return f"[{len(value):,} bytes]"
    if depth == 0:
        return "[nested too deeply]"
    if isinstance(value, Mapping):
        return {str(key)[:100]: _member(str(key), item, limit, depth) for key, item in list(value.items())[:_ITEMS]}
    if isinstance(value, list | tuple | set | frozenset):
        return _items(value, limit, depth)
    return redact_text(_text_of(value), limit=limit)


def _member(key: str, value: Any, limit: int, depth: int) -> Any:
    return HIDDEN if value is not None and is_secret_key(key) else _redact(value, limit, depth - 1)


def _items(values: Iterable[Any], limit: int, depth: int) -> list[Any]:
    items = list(values)
    kept = [_redact(item, limit, depth - 1) for item in items[:_ITEMS]]
    return kept if len(items) <= _ITEMS else [*kept, f"[{len(items) - _ITEMS:,} more]"]


def _text_of(value: object) -> str:
    try:
        return str(value)
    except Exception as error:  # noqa: BLE001  a broken __str__ may not break the log line
        return f"[{type(value).__name__} without text: {type(error).__name__}]"
