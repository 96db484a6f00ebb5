"""Rows out of CSV text, one after another: `;`, `,` or tab, quoted line breaks, ragged rows. Meaning is not checked."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TextIO

from import_service.domain.encoding import encoding_of, opened
from import_service.domain.entity import Entity, normal
from import_service.domain.file_refusals import DamagedFile, EmptyFile, FileTooLarge, RefusedHeader
from import_service.domain.headings import match
from import_service.domain.limits import MAX_CELL, MAX_LINE, MAX_ROWS, TITLE_ROWS
from import_service.domain.rows import Row, RowError
from import_service.domain.validation import WHOLE_ROW

_DELIMITERS = ",;\t"
#: What a spreadsheet shows where a formula went wrong.
_CELL_ERRORS = frozenset({"#REF!", "#N/A", "#VALUE!", "#DIV/0!", "#NAME?", "#NULL!", "#NUM!"})
Cells = list[str]


@dataclass(frozen=True)
class Table:
    """A file whose header was read; the rows are read while they are taken, once."""

    #: Sentences for the person who sent the file.
    warnings: tuple[str, ...]
    #: Raises DamagedFile, EmptyFile and FileTooLarge while it is walked.
    rows: Iterator[Row]


def read_table(data: bytes, entity: Entity) -> Table:
    """The table in the bytes of a CSV file; empty cells are values that were not given.

    Raises: RefusedFile.
    """
    encoding = encoding_of(data)
    file = opened(data, encoding)
    delimiter = _named_delimiter(next((line for line in _lines(file) if line.strip()), ""))
    if delimiter is None:
        file.seek(0)
        delimiter = _best_delimiter(islice(_lines(file), TITLE_ROWS), entity)
        file.seek(0)
    records = _records(_lines(file), delimiter)
    names = _names(records, entity)
    warnings: tuple[str, ...] = ()
    if encoding == "cp1252" and not data.isascii():
        warnings = ("The file is not UTF-8 and was read as Windows-1252: check names with letters such as ñ.",)
    return Table(warnings, _rows(records, names))


def _lines(file: TextIO) -> Iterator[str]:
    while line := file.readline(MAX_LINE):
        if len(line) == MAX_LINE:
            # Millions of commas would be as many cells.
            raise FileTooLarge(f"The file has a line of more than {MAX_LINE:,} characters.")
        yield line


def _named_delimiter(first: str) -> str | None:
    """What Excel's own first line, `sep=;`, says."""
    line = first.rstrip("\r\n")
    return line[4] if len(line) == 5 and line[:4].lower() == "sep=" and line[4] in _DELIMITERS else None


def _best_delimiter(lines: Iterable[str], entity: Entity) -> str:
    """The one that finds the most known columns in one of the first lines."""
    sample = list(lines)

    def worth(delimiter: str) -> tuple[int, int]:
        found = [line.split(delimiter) for line in sample]
        return max(
            ((sum(normal(cell) in entity.names for cell in cells), len(cells)) for cells in found), default=(0, 0)
        )

    return max(_DELIMITERS, key=worth)


def _names(records: Iterator[Cells], entity: Entity) -> tuple[str | None, ...]:
    """What the columns are, by the first row that says it: sheets may begin with a title."""
    refusal: RefusedHeader | None = None
    for cells in islice((cells for cells in records if _filled(cells)), TITLE_ROWS):
        try:
            return match(entity, _trimmed(cells))
        except RefusedHeader as error:
            # Of a file without a header, the first row is what the sentence shall be about.
            refusal = refusal or error
    raise refusal or EmptyFile("The file has no header: its first row must name the columns.")


def _records(lines: Iterable[str], delimiter: str) -> Iterator[Cells]:
    count = 0
    try:
        for count, cells in enumerate(csv.reader(lines, delimiter=delimiter), start=1):  # noqa: B007  told in the error
            yield cells
    except csv.Error as error:
        # The reader's own limit on a cell: all that follows a quote which is never closed is one.
        raise DamagedFile(
            f"The file cannot be read after its line {count}: a quote is not closed, or a cell is too long."
        ) from error


def _rows(records: Iterator[Cells], names: tuple[str | None, ...]) -> Iterator[Row]:
    taken = 0
    for number, cells in enumerate(records, start=1):
        if not _filled(cells):
            continue
        taken += 1
        if taken > MAX_ROWS:
            raise FileTooLarge(f"The file has more than {MAX_ROWS:,} rows: split it.")
        yield _row(number, cells, names)
    if not taken:
        raise EmptyFile("The file has a header and no row under it.")


def _row(number: int, cells: Cells, names: tuple[str | None, ...]) -> Row:
    values: dict[str, object] = {}
    errors: list[RowError] = []
    for name, cell in zip(names, cells, strict=False):
        text = cell.strip()
        if name is None or not text:
            continue
        if len(text) > MAX_CELL:
            errors.append(RowError(number, name, "too_long", f"is longer than {MAX_CELL:,} characters"))
        elif text in _CELL_ERRORS:
            errors.append(RowError(number, name, "formula_error", "is an error of a formula"))
        else:
            values[name] = text
    if _filled(cells[len(names) :]):
        message = "has more cells than the header: is a text with a comma not in quotes?"
        errors.append(RowError(number, WHOLE_ROW, "too_many_cells", message))
    return Row(number, values, tuple(errors))


def _filled(cells: Cells) -> bool:
    return any(cell and not cell.isspace() for cell in cells)


def _trimmed(header: Cells) -> Cells:
    """Without the empty columns on the right that spreadsheets leave."""
    end = len(header)
    while end and not header[end - 1].strip():
        end -= 1
    return header[:end]
