"""Times of day as clocks, spreadsheets and people write them. What a time is for is not asked."""

from __future__ import annotations

import datetime
import re

_CLOCK = re.compile(
    r"(?P<hour>\d{1,2}):(?P<minute>[0-5]\d)(:(?P<second>[0-5]\d)(\.\d{1,6})?)?\s?((?P<half>[AP])\.?M\.?)?",
    re.ASCII | re.IGNORECASE,
)


def clock_of(text: str) -> datetime.time | None:
    """The time of `07:30`, `7:30:00`, `1:05 PM` or `2026-01-31T07:30:00Z`; None for anything else."""
    clock = _CLOCK.fullmatch(text)
    if clock is None:
        return _of_moment(text)
    hour, half = int(clock["hour"]), clock["half"]
    if half is not None:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if half in "Pp" else 0)
    return datetime.time(hour, int(clock["minute"]), int(clock["second"] or 0)) if hour < 24 else None


def _of_moment(text: str) -> datetime.time | None:
    """With its zone left out, as the tables have none: what the clock on the wall said."""
    for parse in (datetime.time.fromisoformat, _moment):
        try:
            return parse(text).replace(tzinfo=None)
        except ValueError:
            continue
    return None


def _moment(text: str) -> datetime.time:
    return datetime.datetime.fromisoformat(text).time()
