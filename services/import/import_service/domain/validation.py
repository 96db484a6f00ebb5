"""Judges rows by their entity: a record that can be loaded, or every error of the row. Remembers keys, not rows."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TypeAlias

from import_service.domain.columns import Column, Need
from import_service.domain.entity import Entity, normal
from import_service.domain.reading import Refused, is_blank, read
from import_service.domain.rows import Row, RowError

#: The row's number, a value for each column of the entity and, where blanks clear, the names that were given.
Record: TypeAlias = tuple[object, ...]
WHOLE_ROW = "(row)"
#: Names nobody knows that are remembered; they come from outside, as many as somebody likes.
MAX_UNKNOWN = 20
MAX_NAME = 50


@dataclass
class Validation:
    """The rows of one import, one after the other; remembers their keys, so that a second row for one is found."""

    entity: Entity
    #: How many rows had a name nobody knows, by name.
    unknown: Counter[str] = field(default_factory=Counter)
    _seen: dict[tuple[object, ...], int] = field(default_factory=dict)
    _columns: dict[str, Column | None] = field(default_factory=dict)

    def check(self, row: Row) -> Record | list[RowError]:
        """What is loaded of the row, or what is wrong with it: every error, not only the first."""
        if not row.values and not row.errors:
            return [RowError(row.number, WHOLE_ROW, "not_an_object", "is no object with named values")]
        given: dict[str, object] = {}
        errors: list[RowError] = list(row.errors)
        for name, value in row.values.items():
            self._take(row.number, name, value, given, errors)
        errors += [
            RowError(row.number, column.name, "required", "is missing")
            for column in self.entity.columns
            if column.need is Need.ALWAYS and given.get(column.name) is None and not _named(errors, column.name)
        ]
        if self.entity.clears and not errors:
            errors += self._emptied(row.number, given)
        return errors or self._twice(row.number, given) or self._record(row.number, given)

    def _take(self, row: int, name: str, value: object, given: dict[str, object], errors: list[RowError]) -> None:
        column = self._column(name)
        if column is None:
            errors += self._stranger(row, name)
        elif column.name in given:
            errors.append(RowError(row, column.name, "given_twice", "is given twice, under two names"))
        elif is_blank(value):
            if self.entity.clears:
                given[column.name] = None
        else:
            try:
                given[column.name] = read(column, value)
            except Refused as refused:
                errors.append(RowError(row, column.name, refused.code, refused.message))

    def _column(self, name: str) -> Column | None:
        try:
            return self._columns[name]
        except KeyError:
            found = self.entity.names.get(normal(name))
            if len(self._columns) < 1000:
                self._columns[name] = found
            return found

    def _stranger(self, row: int, name: str) -> list[RowError]:
        shown = shown_name(name)
        if normal(name) in self.entity.protected_names:
            return [RowError(row, shown, "not_allowed", "must not be set by an import")]
        if self.entity.strict:
            return [RowError(row, shown, "unknown_field", "is no field that can be set")]
        if shown in self.unknown or len(self.unknown) < MAX_UNKNOWN:
            self.unknown[shown] += 1
        return []

    def _emptied(self, row: int, given: dict[str, object]) -> list[RowError]:
        return [
            RowError(row, column.name, "required", "must not be empty")
            for column in self.entity.columns
            if column.need is not Need.NEVER and column.name in given and given[column.name] is None
        ]

    def _twice(self, row: int, given: dict[str, object]) -> list[RowError]:
        first = self._seen.setdefault(tuple(given.get(name) for name in self.entity.key), row)
        if first == row:
            return []
        keys = " and ".join(self.entity.key)
        return [RowError(row, self.entity.key[0], "duplicate", f"has the same {keys} as row {first}")]

    def _record(self, row: int, given: dict[str, object]) -> Record:
        values = (row, *(given.get(column.name) for column in self.entity.columns))
        return (*values, [name for name in given if name not in self.entity.key]) if self.entity.clears else values


def shown_name(name: str) -> str:
    """A name from outside as it may stand in an error."""
    printable = "".join(letter if letter.isprintable() else "?" for letter in name[:MAX_NAME])
    return printable or WHOLE_ROW


def _named(errors: list[RowError], column: str) -> bool:
    return any(error.field == column for error in errors)
