"""A row as a file or a message gives it, and what is wrong with one. Reading files and judging rows are elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RowError:
    """Why a row is refused. Names the row and the field, never what stood there: that may be personal."""

    row: int
    #: A column of the entity, or "(row)" when the row as a whole is meant.
    field: str
    #: Stable, for programs: `required`, `too_long`, `duplicate` ...
    code: str
    #: One sentence, for people.
    message: str


@dataclass(frozen=True, slots=True)
class Row:
    """One row before it is looked at."""

    #: Its place, from 1; a header line does not count.
    number: int
    #: By key or header, as they were written.
    values: Mapping[str, object]
    #: What was wrong with it already when it was read; any of them refuses the row.
    errors: tuple[RowError, ...] = ()
