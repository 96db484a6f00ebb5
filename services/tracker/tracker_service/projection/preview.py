"""What of a task's parameters is kept for people to look at: little, and nothing personal. Pure."""

from __future__ import annotations

import re

import msgspec
from muster.observability.redaction import redact

#: Larger bodies are images and imports; only their size is kept.
MAX_PREVIEW_BYTES = 4096

# Bodies without any of these, and without long text, are kept as they are: redacting costs ten times as much as this.
# `@` stands for mail addresses; 100 characters in a row without a space for files, tokens and keys in free text.
_SUSPECT = re.compile(
    rb"pass|pwd|secret|token|auth|cookie|cred|dsn|jwt|sign|csrf|session|mail|address|phone|mobile|contact|birth"
    rb"|guardian|recipient|key|image|json|text|\"(?:file|data)\"|updates|bearer|basic|@|eyJ|[^\s\"]{100}|\\u",
    re.IGNORECASE,
)


def preview(body: bytes) -> str | None:
    """The parameters as redacted JSON, or None when they are too large, or no JSON."""
    if not 0 < len(body) <= MAX_PREVIEW_BYTES:
        return None
    try:
        value = msgspec.json.decode(body)
        if _SUSPECT.search(body) is None:
            return body.decode()
        return msgspec.json.encode(redact(value, limit=500)).decode()
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
