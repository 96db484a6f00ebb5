"""What every page of a report has: the unit's seal and name above, date and page number below. No contents."""

from __future__ import annotations

import math
from dataclasses import dataclass

from reportlab.lib.colors import HexColor

from reports_service.domain import palette
from reports_service.domain.sheet import About, Sheet


@dataclass(frozen=True)
class Unit:
    """Whose report it is."""

    school: str
    name: str
    battalion: str
    #: Such as "1st Semester, S.Y. 2024-2025".
    term: str


FIRST_HEIGHT = 82.0
RUNNING_HEIGHT = 26.0
FOOT_HEIGHT = 26.0
MARGIN = 36.0


def draw_seal(sheet: Sheet, x: float, y: float, radius: float) -> None:
    """The unit's seal around (x, y): a ring with stars, a shield, and what is taught under its star."""
    canvas = sheet.canvas
    canvas.saveState()
    canvas.setLineWidth(radius * 0.05)
    canvas.setStrokeColor(HexColor(palette.GOLD))
    canvas.setFillColor(HexColor(palette.NAVY))
    canvas.circle(x, y, radius, stroke=1, fill=1)
    canvas.setFillColor(HexColor(palette.WHITE))
    canvas.circle(x, y, radius * 0.72, stroke=1, fill=1)
    for number in range(12):
        angle = math.tau * number / 12
        _star(sheet, x + radius * 0.86 * math.sin(angle), y + radius * 0.86 * math.cos(angle), radius * 0.075)
    _shield(sheet, x, y, radius * 0.5)
    canvas.restoreState()
    sheet.text(x, y - radius * 0.19, "ROTC", radius * 0.26, bold=True, align="centre", colour=palette.WHITE)


def _star(sheet: Sheet, x: float, y: float, radius: float, colour: str = palette.GOLD) -> None:
    path = sheet.canvas.beginPath()
    for point in range(10):
        reach, angle = radius if point % 2 == 0 else radius * 0.4, math.tau * point / 10
        place = (x + reach * math.sin(angle), y + reach * math.cos(angle))
        (path.lineTo if point else path.moveTo)(*place)
    path.close()
    sheet.colour(colour)
    sheet.canvas.drawPath(path, stroke=0, fill=1)


def _shield(sheet: Sheet, x: float, y: float, size: float) -> None:
    path = sheet.canvas.beginPath()
    path.moveTo(x - size * 0.9, y + size * 0.85)
    path.lineTo(x + size * 0.9, y + size * 0.85)
    path.lineTo(x + size * 0.9, y)
    path.curveTo(x + size * 0.9, y - size * 0.6, x + size * 0.35, y - size * 0.95, x, y - size * 1.12)
    path.curveTo(x - size * 0.35, y - size * 0.95, x - size * 0.9, y - size * 0.6, x - size * 0.9, y)
    path.close()
    sheet.colour(palette.GREEN)
    sheet.canvas.drawPath(path, stroke=1, fill=1)
    _star(sheet, x, y + size * 0.42, size * 0.32)


def draw_first_head(sheet: Sheet, unit: Unit, about: About) -> None:
    """The letterhead of the first page, FIRST_HEIGHT high."""
    top, left, right = sheet.height - MARGIN + 8, MARGIN, sheet.width - MARGIN
    draw_seal(sheet, left + 30, top - 32, 30)
    sheet.text(left + 72, top - 14, unit.school.upper(), 8.5, bold=True, colour=palette.GREY)
    sheet.text(left + 72, top - 29, unit.name, 13, bold=True, colour=palette.NAVY)
    sheet.text(left + 72, top - 43, f"{unit.battalion}  ·  {unit.term}", 8.5, colour=palette.GREY)
    size = sheet.type.fitting_size(about.title, right - left - 72, 15, bold=True)
    sheet.text(left + 72, top - 62, about.title, size, bold=True, colour=palette.GOLD)
    sheet.rule(left, top - 72, right, palette.NAVY, 1.5)
    sheet.rule(left, top - 74.5, right, palette.GOLD, 0.8)


def draw_running_head(sheet: Sheet, unit: Unit, about: About) -> None:
    """The head of every further page, RUNNING_HEIGHT high."""
    top, left, right = sheet.height - MARGIN + 8, MARGIN, sheet.width - MARGIN
    draw_seal(sheet, left + 8, top - 8, 8)
    sheet.text(left + 22, top - 11, about.title, 8.5, bold=True, colour=palette.NAVY)
    sheet.text(right, top - 11, unit.name, 8, align="right", colour=palette.GREY)
    sheet.rule(left, top - 19, right, palette.GOLD, 0.8)


def draw_foot(sheet: Sheet, about: About, page: int, pages: int) -> None:
    """When it was made, for whose eyes, and "Page x of y"."""
    left, right, y = MARGIN, sheet.width - MARGIN, MARGIN - 14
    sheet.rule(left, y + 11, right, palette.LINE)
    sheet.text(left, y, f"Generated {about.generated}", 7, colour=palette.GREY)
    sheet.text(sheet.width / 2, y, "Personal data: for official use only", 7, align="centre", colour=palette.GREY)
    sheet.text(right, y, f"Page {page} of {pages}", 7, align="right", colour=palette.GREY)
