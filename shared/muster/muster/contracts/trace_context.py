"""The W3C trace context in a record's `traceparent`: is it one, and which trace it names. Spans are not made here."""

from __future__ import annotations

import re

_FORM = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-[\x21-\x7e]{0,200})?")


def is_traceparent(text: str) -> bool:
    """Whether it is a trace context; later versions of the standard may say more at its end."""
    match = _FORM.fullmatch(text)
    if match is None:
        return False
    version, trace, span, more = match.groups()
    return version != "ff" and not (version == "00" and more) and bool(trace.strip("0")) and bool(span.strip("0"))


def read_traceparent(_name: str, raw: bytes) -> str | None:
    """The bytes of a header as a trace context; what is none is dropped, and the task runs without."""
    text = raw.decode("latin-1")
    return text if is_traceparent(text) else None


def trace_id(traceparent: str | None) -> str | None:
    """The 32 hex digits that all log lines and spans of one story share."""
    return traceparent[3:35] if traceparent and is_traceparent(traceparent) else None
