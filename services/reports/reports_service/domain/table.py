"""A table of many rows: what it needs in height, and how a part of it is drawn. Which part fits a page is flow's.

Rows are written as PDF operators with each different cell worked out once: 20,000 rows take a second, not a minute.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import NamedTuple

from reports_service.domain import palette
from reports_service.domain.sheet import Align, Sheet
from reports_service.domain.typesetting import Line, Typesetter, printable

LEADING = 1.25
_PAD = 3.0


class Row(NamedTuple):
    """One row as text; `tone` is "" or a key of palette.TONES. A row with one cell is the heading of those below it."""

    cells: tuple[str, ...]
    tone: str = ""

    @property
    def is_heading(self) -> bool:
        return len(self.cells) == 1


@dataclass(frozen=True)
class Column:
    """Width in points."""

    title: str
    width: float
    align: Align = "left"
    bold: bool = False
    #: Long texts are broken into lines; other columns hold numbers and short words that always fit.
    wraps: bool = False


@dataclass
class Table:
    """Rows under columns; `size` of the letters in points."""

    columns: Sequence[Column]
    rows: Sequence[Row]
    size: float = 7.5
    _heights: list[float] = field(default_factory=list)
    _shown: dict[tuple[str, bool], tuple[str, float]] = field(default_factory=dict)

    @property
    def width(self) -> float:
        return sum(column.width for column in self.columns)

    @property
    def header_height(self) -> float:
        lines = max(column.title.count("\n") + 1 for column in self.columns)
        return lines * self.size * LEADING + 2 * _PAD

    def heights(self, type_: Typesetter) -> list[float]:
        """What each row needs, in points."""
        if not self._heights:
            wrapping = [(index, column) for index, column in enumerate(self.columns) if column.wraps]
            line = self.size * LEADING
            one = line + _PAD
            for row in self.rows:
                lines = 1
                if not row.is_heading:
                    for index, column in wrapping:
                        lines = max(lines, len(self._lines(type_, row.cells[index], column)))
                self._heights.append(one + (lines - 1) * line + (_PAD if row.is_heading else 0))
        return self._heights

    def _lines(self, type_: Typesetter, text: str, column: Column) -> list[Line]:
        return type_.wrap(printable(text), column.width - 2 * _PAD, self.size, bold=column.bold)

    def draw_header(self, sheet: Sheet, left: float, top: float) -> None:
        height = self.header_height
        sheet.box(left, top - height, self.width, height, palette.NAVY)
        sheet.colour(palette.WHITE)
        x = left
        for column in self.columns:
            lines = column.title.split("\n")
            for number, line in enumerate(lines, _gap(lines, self)):
                y = top - _PAD - (number + 0.8) * self.size * LEADING
                sheet.text(_anchor(x, column), y, line, self.size, bold=True, align=column.align)
            x += column.width

    def draw_heading(self, sheet: Sheet, left: float, top: float, height: float, text: str) -> None:
        sheet.box(left, top - height, self.width, height, palette.PALE_GOLD)
        sheet.text(left + _PAD, top - height + _PAD + 1, text, self.size + 0.5, bold=True, colour=palette.NAVY)

    def draw_rows(self, sheet: Sheet, left: float, top: float, first: int, after: int) -> None:
        """Draw rows `first` to `after` - 1 from `top` downwards."""
        heights = self.heights(sheet.type)
        tops = list(accumulate((-height for height in heights[first:after]), initial=top))
        striped = [number for number in range(first, after) if number % 2 and not self.rows[number].is_heading]
        places = [(left, tops[n - first + 1], self.width, heights[n]) for n in striped]
        sheet.boxes(places, palette.STRIPE)
        tone = ""
        sheet.colour(palette.TONES[tone])
        for number, y in zip(range(first, after), tops, strict=False):
            row, height = self.rows[number], heights[number]
            if row.is_heading:
                self.draw_heading(sheet, left, y, height, row.cells[0])
                tone = "heading"
                continue
            if row.tone != tone:
                tone = row.tone
                sheet.colour(palette.TONES[tone])
            sheet.raw([self._row(sheet, row, left, y)])
        sheet.rule(left, tops[-1], left + self.width, palette.LINE)

    def _row(self, sheet: Sheet, row: Row, left: float, top: float) -> str:
        baseline = top - _PAD / 2 - 0.95 * self.size
        parts, x = ["BT"], left
        for column, text in zip(self.columns, row.cells, strict=True):
            shown, width = self._cell(sheet, text, column.bold)
            if column.wraps and width > column.width - 2 * _PAD:
                for number, line in enumerate(self._lines(sheet.type, text, column)):
                    y = baseline - number * self.size * LEADING
                    parts.append(f"1 0 0 1 {x + _PAD:.2f} {y:.2f} Tm {sheet.shown(line, self.size)}")
            elif text:
                parts.append(f"1 0 0 1 {_start(x, column, width):.2f} {baseline:.2f} Tm {shown}")
            x += column.width
        parts.append("ET")
        return " ".join(parts)

    def _cell(self, sheet: Sheet, text: str, bold: bool) -> tuple[str, float]:
        known = self._shown.get((text, bold))
        if known is None:
            line = sheet.type.line(printable(text), bold)
            known = self._shown[text, bold] = (sheet.shown(line, self.size), line.width * self.size)
        return known


def _gap(lines: Sequence[str], table: Table) -> int:
    """Empty lines above a column's title, so that all titles stand on one baseline."""
    return max(column.title.count("\n") + 1 for column in table.columns) - len(lines)


def _anchor(x: float, column: Column) -> float:
    if column.align == "right":
        return x + column.width - _PAD
    return x + column.width / 2 if column.align == "centre" else x + _PAD


def _start(x: float, column: Column, width: float) -> float:
    if column.align == "right":
        return x + column.width - _PAD - width
    return x + (column.width - width) / 2 if column.align == "centre" else x + _PAD
