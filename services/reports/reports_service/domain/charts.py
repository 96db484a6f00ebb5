"""Bar charts, drawn line by line so that they share the report's fonts and colours. Counting is done by others."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from reports_service.domain import palette
from reports_service.domain.sheet import Sheet

_LABEL = 7.0
_TITLE_HEIGHT = 16.0


class Bar(NamedTuple):
    """One bar: what stands below it, and its parts from below upwards as (value, colour)."""

    label: str
    parts: tuple[tuple[float, str], ...]

    @property
    def total(self) -> float:
        return sum(value for value, _ in self.parts)


class Place(NamedTuple):
    """Where a chart stands, in points from its upper left."""

    left: float
    top: float
    width: float
    height: float


def draw_bars(sheet: Sheet, place: Place, title: str, bars: Sequence[Bar], *, unit: str = "") -> None:
    """Upright bars with their totals on top; of many bars, only some are labelled."""
    sheet.text(place.left, place.top - 10, title, 9, bold=True, colour=palette.NAVY)
    base, room = place.top - place.height + 14, place.height - _TITLE_HEIGHT - 24
    left, width = place.left + 24, place.width - 24
    highest = _round_up(max((bar.total for bar in bars), default=0))
    for step in range(5):
        y = base + room * step / 4
        sheet.rule(left, y, left + width, palette.LINE, 0.4)
        sheet.text(left - 4, y - 2.4, f"{highest * step / 4:g}{unit}", _LABEL, align="right", colour=palette.GREY)
    slot = width / max(len(bars), 1)
    every = max(1, math.ceil(26 / slot))
    for number, bar in enumerate(bars):
        _bar(sheet, left + slot * number, base, slot, room / highest, bar, labelled=number % every == 0)


def _bar(sheet: Sheet, left: float, base: float, slot: float, scale: float, bar: Bar, *, labelled: bool) -> None:
    thick, y = min(slot * 0.66, 44.0), base
    for value, colour in bar.parts:
        sheet.box(left + (slot - thick) / 2, y, thick, value * scale, colour)
        y += value * scale
    if labelled:
        middle = left + slot / 2
        sheet.text(middle, y + 2.5, f"{bar.total:g}", _LABEL, align="centre", colour=palette.BLACK)
        sheet.text(middle, base - 9, bar.label, _LABEL, align="centre", colour=palette.GREY)


def draw_legend(sheet: Sheet, right: float, top: float, entries: Sequence[tuple[str, str]]) -> None:
    """Coloured squares with their meaning, ending at `right`."""
    x = right
    for label, colour in reversed(entries):
        x -= sheet.type.line(label, False).width * _LABEL
        sheet.text(x, top - 9, label, _LABEL, colour=palette.GREY)
        x -= 9
        sheet.box(x, top - 9, 6, 6, colour)
        x -= 10


def _round_up(value: float) -> float:
    """The next 1, 2, 4 or 8 times a power of ten, and at least 4, so that four steps are whole numbers."""
    if value <= 4:
        return 4.0
    power = 10 ** math.floor(math.log10(value))
    return float(next(step * power for step in (1, 2, 4, 8, 10, 20) if step * power >= value))
