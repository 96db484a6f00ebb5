"""A value judged by its column: what is stored, or why it cannot be taken. What the columns are, entities say."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Mapping

from import_service.domain.clocks import clock_of
from import_service.domain.columns import Column, Kind

_WHOLE_NUMBER = re.compile(r"[+-]?\d{1,12}(\.0{1,6})?")
_NUMBER = re.compile(r"[+-]?\d{1,12}(\.\d{1,15})?")
#: What a spreadsheet makes of a long number: its last digits are lost.
_ROUNDED = re.compile(r"\d(\.\d+)?E\+\d+", re.IGNORECASE)
#: 20060131 and week dates, which Python reads too, are more often another number.
_ISO_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")


class Refused(Exception):
    """The value cannot be taken; a code for programs, a sentence for people, neither of which repeats it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def is_blank(value: object) -> bool:
    """Nothing was given: null, or a text of spaces."""
    return value is None or (isinstance(value, str) and not value.strip())


def read(column: Column, value: object) -> object:
    """The value as the column holds it; it must not be blank.

    Raises: Refused.
    """
    return _READERS[column.kind](column, value)


def _text(column: Column, value: object) -> str:
    if not isinstance(value, str):
        raise Refused("wrong_type", "must be a text")
    text = value.strip()
    if not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text):
        raise Refused("bad_characters", "has characters that cannot be stored")
    if "\0" in text:
        raise Refused("bad_characters", "has characters that cannot be stored")
    if column.longest is not None and len(text) > column.longest:
        raise Refused("too_long", f"is longer than {column.longest} characters")
    if len(text) < column.shortest:
        raise Refused("too_short", f"is shorter than {column.shortest} characters")
    return text if column.vocabulary is None else _word(column.vocabulary, text)


def _word(vocabulary: Mapping[str, str], text: str) -> str:
    word = vocabulary.get(text.lower())
    if word is None:
        known = ", ".join(dict.fromkeys(vocabulary.values()))
        raise Refused("unknown_value", f"must be one of {known}")
    return word


def _digits(column: Column, value: object) -> str:
    # Longer numbers are no phone numbers, and a float has lost their last digits.
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e15:
        value = str(int(value) if value == int(value) else value)
    if isinstance(value, str) and _ROUNDED.fullmatch(value.strip()):
        raise Refused("rounded_number", "was rounded by a spreadsheet: format the column as text")
    return _text(column, value)


def _email(column: Column, value: object) -> str:
    text = _text(column, value)
    if not _EMAIL.fullmatch(text):
        raise Refused("not_an_email", "is no mail address")
    return text


def _integer(column: Column, value: object) -> int:
    if isinstance(value, str):
        text = value.strip()
        text = column.vocabulary.get(text.lower(), text) if column.vocabulary else text
        value = float(text) if _WHOLE_NUMBER.fullmatch(text) else value
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise Refused("wrong_type", "must be a whole number")
    return int(_within(column, value))


def _number(column: Column, value: object) -> float:
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = float(value)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise Refused("wrong_type", "must be a number")
    return float(_within(column, value))


def _within(column: Column, value: float) -> float:
    # Written so that NaN, which is neither, is refused too.
    if not column.least <= value <= column.most:
        raise Refused("out_of_range", f"must lie between {column.least:g} and {column.most:g}")
    return value


def _date(column: Column, value: object) -> datetime.date:
    day: datetime.date | None = None
    if isinstance(value, datetime.datetime):
        day = value.date()
    elif isinstance(value, datetime.date):
        day = value
    elif isinstance(value, str):
        day = _day_of(value.strip())
    if day is None:
        raise Refused("not_a_date", "must be a date written as 2006-01-31")
    if day.year < 1900:
        raise Refused("out_of_range", "lies before 1900")
    return day


def _day_of(text: str) -> datetime.date | None:
    """A date, or the day of a moment as JSON writes it: 2006-01-31T00:00:00Z."""
    try:
        return datetime.datetime.fromisoformat(text).date() if _ISO_DAY.match(text) else None
    except ValueError:
        return None


def _time(column: Column, value: object) -> datetime.time:
    clock: datetime.time | None = None
    if isinstance(value, datetime.datetime):
        clock = value.time()
    elif isinstance(value, datetime.time):
        clock = value
    elif isinstance(value, str):
        clock = clock_of(value.strip())
    if clock is None:
        raise Refused("not_a_time", "must be a time written as 07:30")
    return clock.replace(tzinfo=None)


_READERS: dict[Kind, Callable[[Column, object], object]] = {
    Kind.TEXT: _text,
    Kind.DIGITS: _digits,
    Kind.EMAIL: _email,
    Kind.INTEGER: _integer,
    Kind.NUMBER: _number,
    Kind.DATE: _date,
    Kind.TIME: _time,
}
