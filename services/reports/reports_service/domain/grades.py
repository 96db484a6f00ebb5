"""The grades report: every cadet of a filter with the computed grade, a summary and the distribution."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from reports_service.domain import palette
from reports_service.domain.charts import Bar, Place, draw_bars
from reports_service.domain.document import A4_LANDSCAPE, Rendered, no_progress, render
from reports_service.domain.figures import NONE, group_name, points, score
from reports_service.domain.flow import Block, OnPage
from reports_service.domain.letterhead import Unit
from reports_service.domain.sheet import About, Align, Sheet
from reports_service.domain.table import Column, Row, Table


class GradeLine(NamedTuple):
    """One cadet: what is stored, and what was computed of it."""

    student_id: str
    name: str
    company: str | None
    platoon: str | None
    present: int
    merits: int
    demerits: int
    prelim: float | None
    midterm: float | None
    final: float | None
    attendance: float
    aptitude: float
    subject: float
    percentage: float
    transmuted: float | None
    letter: str | None
    remarks: str


@dataclass(frozen=True)
class GradesData:
    """Everything in one grades report; `lines` in the order they are printed, by company and platoon."""

    about: About
    unit: Unit
    #: What was asked for, in words.
    scope: str
    training_days: int
    #: Weights of attendance, aptitude and subject.
    weights: tuple[float, float, float]
    #: Line of the table ("1.00" ...) or remark, and how many cadets fall on it.
    distribution: dict[str, int]
    lines: Sequence[GradeLine]
    #: Those lines of the distribution that are failures.
    failures: frozenset[str] = frozenset({"5.00"})


_NUMBER: Align = "right"
_COLUMNS = (
    Column("No.", 32, _NUMBER), Column("Student ID", 74, wraps=True), Column("Name", 190, wraps=True, bold=True),
    Column("Days\npresent", 42, _NUMBER), Column("Merits", 38, _NUMBER), Column("Demerits", 44, _NUMBER),
    Column("Prelim", 38, _NUMBER), Column("Midterm", 42, _NUMBER), Column("Final", 38, _NUMBER),
    Column("Attend-\nance", 40, _NUMBER), Column("Apti-\ntude", 36, _NUMBER), Column("Subject", 38, _NUMBER),
    Column("Grade", 36, _NUMBER, bold=True), Column("Equiv.", 32, _NUMBER), Column("Remarks", 49.89, wraps=True),
)  # fmt: skip


def render_grades(data: GradesData, on_page: OnPage = no_progress) -> Rendered:
    """The PDF, with a page number in the outline for each company and platoon."""
    elements = (_summary(data), Table(_COLUMNS, list(_rows(data.lines)), 7.0))
    texts = (text for line in data.lines for text in line[:4] if text)
    return render(A4_LANDSCAPE, data.about, data.unit, elements, [data.scope, *texts], len(data.lines), on_page)


def _rows(lines: Sequence[GradeLine]) -> Iterator[Row]:
    group: tuple[str | None, str | None] | None = None
    for number, line in enumerate(lines, 1):
        if (line.company, line.platoon) != group:
            group = (line.company, line.platoon)
            yield Row((group_name(*group),))
        yield _row(number, line)


def _row(number: int, line: GradeLine) -> Row:
    equivalent = NONE if line.transmuted is None else f"{line.transmuted:.2f}"
    cells = (
        str(number), line.student_id, line.name, str(line.present), str(line.merits), str(line.demerits),
        score(line.prelim), score(line.midterm), score(line.final),
        points(line.attendance), points(line.aptitude), points(line.subject),
        points(line.percentage), equivalent, line.remarks,
    )  # fmt: skip
    return Row(cells, "quiet" if line.transmuted is None else "bad" if line.remarks == "Failed" else "")


def _summary(data: GradesData) -> Block:
    def draw(sheet: Sheet, left: float, top: float, width: float) -> None:
        _facts(sheet, left, top - 6, data)
        bars = [
            Bar(label, ((float(count), palette.RED if label in data.failures else palette.GREEN),))
            for label, count in data.distribution.items()
        ]
        draw_bars(sheet, Place(left + 300, top - 4, width - 300, 132), "Cadets by equivalent grade", bars)

    return Block(146, draw)


def _facts(sheet: Sheet, left: float, top: float, data: GradesData) -> None:
    graded = [line for line in data.lines if line.transmuted is not None]
    passed = sum(line.remarks == "Passed" for line in graded)
    mean = sum(line.percentage for line in graded) / len(graded) if graded else None
    attendance, aptitude, subject = data.weights
    facts = (
        ("Covers", data.scope),
        ("Cadets", f"{len(data.lines):,}"),
        ("Passed / failed", f"{passed:,} / {len(graded) - passed:,}"),
        ("Without a grade", f"{len(data.lines) - len(graded):,}"),
        ("Average grade", NONE if mean is None else points(mean)),
        ("Training days", str(data.training_days)),
        ("Weights", f"attendance {attendance:g}, aptitude {aptitude:g}, subject {subject:g}"),
    )
    sheet.text(left, top - 4, "Summary", 9, bold=True, colour=palette.NAVY)
    for number, (label, value) in enumerate(facts):
        y = top - 22 - 15 * number
        sheet.text(left, y, label, 8, colour=palette.GREY)
        size = sheet.type.fitting_size(value, 190, 8.5, bold=True)
        sheet.text(left + 86, y, value, size, bold=True, colour=palette.BLACK)
        sheet.rule(left, y - 4, left + 276, palette.LINE, 0.4)
