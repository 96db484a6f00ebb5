"""What a column of an entity is: its kind, its names, its bounds. Judging a value by it is reading's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

#: PostgreSQL's `integer`; more would be an error of the driver.
LARGEST_INTEGER = 2**31 - 1


class Kind(Enum):
    """What a column holds."""

    TEXT = "text"
    #: A text that other programs like to write as a number: ids, phone numbers, sizes.
    DIGITS = "digits"
    EMAIL = "email"
    INTEGER = "integer"
    NUMBER = "number"
    DATE = "date"
    TIME = "time"


class Need(Enum):
    """When a row must have a value."""

    NEVER = "never"
    #: Where the row would make a new record, which only the database knows.
    TO_CREATE = "to create"
    ALWAYS = "always"


@dataclass(frozen=True)
class Column:
    """A column of an entity: what it is called, and what may stand in it."""

    name: str
    kind: Kind = Kind.TEXT
    need: Need = Need.NEVER
    #: Other names for it in files; case, spaces and punctuation never matter.
    aliases: tuple[str, ...] = ()
    #: Characters of a text.
    shortest: int = 0
    longest: int | None = None
    #: Bounds of a number.
    least: float = -LARGEST_INTEGER
    most: float = LARGEST_INTEGER
    #: The values there are, by how they may be written in lower case; None: any. Of a number: other ways to write it.
    vocabulary: Mapping[str, str] | None = None
