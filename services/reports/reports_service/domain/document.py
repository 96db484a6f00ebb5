"""From elements to the bytes of a PDF: letterhead, pages, footers. The elements come from the four kinds of report."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from reports_service.domain.flow import Area, Element, OnPage, draw_part, paginate
from reports_service.domain.letterhead import (
    FIRST_HEIGHT,
    FOOT_HEIGHT,
    MARGIN,
    RUNNING_HEIGHT,
    Unit,
    draw_first_head,
    draw_foot,
    draw_running_head,
)
from reports_service.domain.sheet import About, Sheet
from reports_service.domain.typefaces import faces
from reports_service.domain.typesetting import Typesetter, characters_of

A4 = (595.28, 841.89)
A4_LANDSCAPE = (841.89, 595.28)


@dataclass(frozen=True)
class Rendered:
    """A finished PDF."""

    data: bytes
    pages: int
    #: Rows of data in it.
    rows: int


def no_progress(page: int, pages: int) -> None:
    """For whoever does not want to know."""


def content_area(size: tuple[float, float]) -> Area:
    """Where the elements of a report stand on its pages."""
    top = size[1] - MARGIN + 8
    return Area(MARGIN, size[0] - 2 * MARGIN, top - FIRST_HEIGHT, top - RUNNING_HEIGHT, MARGIN - 14 + FOOT_HEIGHT)


@contextmanager
def _collector_paused() -> Iterator[None]:
    """A long table is a million small objects, none of them in a cycle: looking for cycles is a fifth of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def render(
    size: tuple[float, float], about: About, unit: Unit, elements: Sequence[Element], texts: Iterable[str],
    rows: int, on_page: OnPage = no_progress,
) -> Rendered:  # fmt: skip
    """Draw a report.

    Args:
        size: of the pages, in points.
        texts: everything in the elements that may be written in any script.
        rows: how many rows of data the elements hold.
    """
    wanted = characters_of([*texts, about.title, unit.school, unit.name, unit.battalion, unit.term])
    with _collector_paused(), faces(wanted) as made:
        sheet = Sheet(size, about, Typesetter(made))
        area = content_area(size)
        pages = paginate(elements, sheet.type, area)
        sheet.bookmark(about.title)
        for number, parts in enumerate(pages, 1):
            (draw_first_head if number == 1 else draw_running_head)(sheet, unit, about)
            for part in parts:
                draw_part(sheet, part, area)
            draw_foot(sheet, about, number, len(pages))
            sheet.end_page()
            on_page(number, len(pages))
        return Rendered(sheet.finish(), len(pages), rows)
