"""Attendance reports: of a period, per day and per cadet, and of a single day. Counting is done by the database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from reports_service.domain import palette
from reports_service.domain.charts import Bar, Place, draw_bars, draw_legend
from reports_service.domain.document import A4, Rendered, no_progress, render
from reports_service.domain.figures import day, group_name, percent
from reports_service.domain.flow import Block, Element, OnPage
from reports_service.domain.letterhead import Unit
from reports_service.domain.sheet import About, Align, Sheet
from reports_service.domain.table import Column, Row, Table

LEGEND = (
    ("Present", palette.PRESENT), ("Late", palette.LATE), ("Excused", palette.EXCUSED), ("Absent", palette.ABSENT),
)  # fmt: skip
_NUMBER: Align = "right"
_COUNTS = tuple(Column(title, 42, _NUMBER) for title in ("Present", "Late", "Excused", "Absent", "Total"))
_DAYS = (
    Column("Date", 62), Column("Training day", 191, wraps=True, bold=True), *_COUNTS, Column("Came", 60.28, _NUMBER),
)  # fmt: skip
_CADETS = (
    Column("No.", 32, _NUMBER), Column("Student ID", 70, wraps=True), Column("Name", 151, wraps=True, bold=True),
    *_COUNTS, Column("Came", 60.28, _NUMBER),
)  # fmt: skip


class Counts(NamedTuple):
    """How many came, came late, were excused, were absent."""

    present: int
    late: int
    excused: int
    absent: int

    @property
    def total(self) -> int:
        return sum(self)

    def cells(self) -> tuple[str, ...]:
        """The four counts, the total, and the part that came, late or not."""
        return (*(str(count) for count in (*self, self.total)), percent(self.present + self.late, self.total))


class DayLine(NamedTuple):
    """One training day."""

    date: date
    title: str
    counts: Counts


class CadetLine(NamedTuple):
    """One cadet over the whole period."""

    student_id: str
    name: str
    company: str | None
    platoon: str | None
    counts: Counts


@dataclass(frozen=True)
class AttendanceData:
    """Everything in one attendance report; days by date, cadets (if any) by company and platoon."""

    about: About
    unit: Unit
    scope: str
    days: Sequence[DayLine]
    cadets: Sequence[CadetLine]


def render_attendance(data: AttendanceData, on_page: OnPage = no_progress) -> Rendered:
    """The PDF: summary and chart, then the days, then the cadets."""
    elements: list[Element] = [_summary(data), _title("Per training day"), Table(_DAYS, list(_day_rows(data.days)))]
    if data.cadets:
        elements += [_title("Per cadet", new_page=True), Table(_CADETS, list(_cadet_rows(data.cadets)))]
    texts = [data.scope, *(line.title for line in data.days)]
    texts += [text for line in data.cadets for text in line[:4] if text]
    return render(A4, data.about, data.unit, elements, texts, len(data.days) + len(data.cadets), on_page)


def _day_rows(days: Sequence[DayLine]) -> Iterator[Row]:
    for line in days:
        yield Row((day(line.date), line.title, *line.counts.cells()))


def _cadet_rows(cadets: Sequence[CadetLine]) -> Iterator[Row]:
    group: tuple[str | None, str | None] | None = None
    for number, line in enumerate(cadets, 1):
        if (line.company, line.platoon) != group:
            group = (line.company, line.platoon)
            yield Row((group_name(*group),))
        yield Row((str(number), line.student_id, line.name, *line.counts.cells()))


def _title(text: str, *, new_page: bool = False) -> Block:
    def draw(sheet: Sheet, left: float, top: float, width: float) -> None:
        sheet.text(left, top - 14, text, 11, bold=True, colour=palette.NAVY)

    return Block(22, draw, bookmark=text, new_page=new_page)


def parts(counts: Counts) -> tuple[tuple[float, str], ...]:
    """A stacked bar of the four counts."""
    return tuple((float(count), colour) for count, (_, colour) in zip(counts, LEGEND, strict=True))


def _summary(data: AttendanceData) -> Block:
    whole = Counts(*(sum(column) for column in zip(*(line.counts for line in data.days), strict=True)))

    def draw(sheet: Sheet, left: float, top: float, width: float) -> None:
        facts = (("Covers", data.scope), ("Training days", str(len(data.days))), ("Records", f"{whole.total:,}"),
                 ("Came", percent(whole.present + whole.late, whole.total)))  # fmt: skip
        x = left
        for (label, value), room in zip(facts, (250, 90, 90, 80), strict=True):
            sheet.text(x, top - 14, label, 7.5, colour=palette.GREY)
            size = sheet.type.fitting_size(value, room - 12, 11, bold=True)
            sheet.text(x, top - 28, value, size, bold=True, colour=palette.BLACK)
            x += room
        bars = [Bar(f"{line.date:%d %b}", parts(line.counts)) for line in data.days]
        draw_bars(sheet, Place(left, top - 42, width, 150), "Attendance per training day", bars)
        draw_legend(sheet, left + width, top - 42, LEGEND)

    return Block(200, draw)
