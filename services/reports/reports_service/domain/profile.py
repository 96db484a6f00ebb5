"""A cadet's profile: personal, unit and physical data, photo, computed grade, attendance. Photos come ready to draw."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from reportlab.lib.utils import ImageReader

from reports_service.domain import palette
from reports_service.domain.attendance import LEGEND, Counts
from reports_service.domain.charts import Bar, Place, draw_bars
from reports_service.domain.document import A4, Rendered, no_progress, render
from reports_service.domain.figures import NONE, day, points, score
from reports_service.domain.flow import Block, Element, OnPage
from reports_service.domain.grades import GradeLine
from reports_service.domain.letterhead import Unit
from reports_service.domain.photo import small_photo
from reports_service.domain.sheet import About, Sheet
from reports_service.domain.table import Column, Row, Table

_PHOTO = (108.0, 135.0)
_DAYS = (Column("Date", 80), Column("Training day", 303.28, wraps=True, bold=True), Column("Status", 140))
_SIZE = 8.5


class Attended(NamedTuple):
    """One training day of this cadet."""

    date: date
    title: str
    status: str


@dataclass(frozen=True)
class ProfileData:
    """Everything in one profile; a field is (label, text)."""

    about: About
    unit: Unit
    identity: Sequence[tuple[str, str]]
    #: Heading and fields of each further section.
    sections: Sequence[tuple[str, Sequence[tuple[str, str]]]]
    grade: GradeLine
    training_days: int
    counts: Counts
    attended: Sequence[Attended]
    #: As it was fetched, in any format; one that cannot be read is left out.
    photo: bytes | None = None


def render_profile(data: ProfileData, on_page: OnPage = no_progress) -> Rendered:
    """The PDF: who it is, the computed grade, and each training day."""
    elements: list[Element] = [_head(data)]
    for title, fields in data.sections:
        elements.append(_title(title))
        elements += [_Pair(fields[at : at + 2]).block() for at in range(0, len(fields), 2)]
    elements += [_title("Academic performance"), _grade(data)]
    if data.attended:
        rows = [
            Row((day(one.date), one.title, one.status.capitalize()), "bad" if one.status == "absent" else "")
            for one in data.attended
        ]
        elements += [_title("Attendance record", new_page=True), Table(_DAYS, rows, 8.0)]
    texts = [value for _, value in data.identity]
    texts += [value for _, fields in data.sections for _, value in fields] + [one.title for one in data.attended]
    return render(A4, data.about, data.unit, elements, texts, 1, on_page)


def _title(text: str, *, new_page: bool = False) -> Block:
    def draw(sheet: Sheet, left: float, top: float, width: float) -> None:
        sheet.text(left, top - 15, text, 10.5, bold=True, colour=palette.NAVY)
        sheet.rule(left, top - 19, left + width, palette.GOLD, 0.8)

    return Block(25, draw, bookmark=text, new_page=new_page)


def _head(data: ProfileData) -> Block:
    photo = small_photo(data.photo) if data.photo else None

    def draw(sheet: Sheet, left: float, top: float, width: float) -> None:
        _draw_photo(sheet, left, top - 8, photo)
        x, y = left + _PHOTO[0] + 18, top - 26
        name = data.identity[0][1]
        room = width - _PHOTO[0] - 18
        for line in sheet.type.wrap(name, room, 17, bold=True, most=2):
            sheet.colour(palette.NAVY)
            sheet.line_of_text(x, y, line, 17)
            y -= 20
        for label, value in data.identity[1:]:
            sheet.text(x, y - 4, label, 8, colour=palette.GREY)
            size = sheet.type.fitting_size(value, room - 90, 9.5, bold=True, least=4)
            sheet.text(x + 90, y - 4, value, size, bold=True, colour=palette.BLACK)
            y -= 16

    return Block(_PHOTO[1] + 20, draw)


def _draw_photo(sheet: Sheet, left: float, top: float, photo: bytes | None) -> None:
    width, height = _PHOTO
    sheet.box(left, top - height, width, height, palette.STRIPE)
    if photo is None:
        sheet.text(left + width / 2, top - height / 2, "No photo", 9, align="centre", colour=palette.GREY)
    else:
        picture = ImageReader(io.BytesIO(photo))
        sheet.canvas.drawImage(picture, left, top - height, width, height, preserveAspectRatio=True, anchor="c")
    sheet.frame(left, top - height, width, height, palette.GOLD, 1.0)


@dataclass(frozen=True)
class _Pair:
    """Two fields side by side, as high as the longer one needs."""

    fields: Sequence[tuple[str, str]]

    def block(self) -> Block:
        # Without a font at hand, a generous estimate: half the size for each character.
        longest = max(len(value) for _, value in self.fields)
        lines = max(1, -(-longest * _SIZE * 0.62 // 150))
        return Block(5 + 11 * lines, self._draw)

    def _draw(self, sheet: Sheet, left: float, top: float, width: float) -> None:
        for number, (label, value) in enumerate(self.fields):
            x = left + number * width / 2
            sheet.text(x, top - 11, label, 8, colour=palette.GREY)
            sheet.colour(palette.BLACK)
            for line_number, line in enumerate(sheet.type.wrap(value, width / 2 - 108, _SIZE)):
                sheet.line_of_text(x + 100, top - 11 - 11 * line_number, line, _SIZE)


def _grade(data: ProfileData) -> Block:
    grade = data.grade
    rows = (
        ("Attendance", f"{grade.present} of {data.training_days} days present", grade.attendance),
        ("Aptitude", f"{grade.merits} merits, {grade.demerits} demerits", grade.aptitude),
        ("Subject", f"prelim {score(grade.prelim)}, midterm {score(grade.midterm)}, final {score(grade.final)}",
         grade.subject),
    )  # fmt: skip

    def draw(sheet: Sheet, left: float, top: float, width: float) -> None:
        y, right = top - 12, left + 290
        for label, basis, earned in rows:
            sheet.text(left, y, label, 9, bold=True, colour=palette.BLACK)
            sheet.text(left + 66, y, basis, 8.5, colour=palette.GREY)
            sheet.text(right, y, points(earned), 9, align="right", colour=palette.BLACK)
            sheet.rule(left, y - 5, right, palette.LINE, 0.4)
            y -= 18
        sheet.box(left, y - 16, 290, 26, palette.PALE_GOLD)
        told = NONE if grade.transmuted is None else f"{grade.transmuted:.2f} ({grade.letter})"
        sheet.text(left + 6, y - 8, f"Equivalent {told}   {grade.remarks}", 10, bold=True, colour=palette.NAVY)
        sheet.text(right - 6, y - 8, points(grade.percentage), 13, bold=True, align="right", colour=palette.NAVY)
        bars = [
            Bar(label, ((float(count), colour),)) for count, (label, colour) in zip(data.counts, LEGEND, strict=True)
        ]
        draw_bars(sheet, Place(left + 315, top, width - 315, 116), "Attendance", bars)

    return Block(122, draw)
