"""What can be imported, as data: its columns, its key, what must not be touched. Judging rows by it is validation's."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from import_service.domain.columns import Column


def normal(name: str) -> str:
    """`Student ID`, `student_id` and `studentId` are one name."""
    return "".join(letter for letter in name.lower() if letter.isalnum())


@dataclass(frozen=True)
class Entity:
    """One kind of record; `name` is its table."""

    name: str
    columns: tuple[Column, ...]
    #: Columns that say which record is meant; two rows of one import must not mean the same.
    key: tuple[str, ...]
    #: Columns of the table that no import may set: a row that names one is refused.
    protected: frozenset[str] = frozenset()
    #: Whether a name nobody knows refuses the row; else it is passed over, and told once.
    strict: bool = False
    #: Whether a blank value empties the column; else it is as if it had not been given.
    clears: bool = False

    @cached_property
    def names(self) -> dict[str, Column]:
        """Columns by every name they may have, in normal form."""
        return {normal(name): column for column in self.columns for name in (column.name, *column.aliases)}

    @cached_property
    def protected_names(self) -> frozenset[str]:
        return frozenset(normal(name) for name in self.protected)
