"""Blocks and tables one below the other, over as many pages as they need. What is in them is theirs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from reports_service.domain.sheet import Sheet
from reports_service.domain.table import Table
from reports_service.domain.typesetting import Typesetter

#: Called after each page with its number and the number of all pages.
OnPage: TypeAlias = Callable[[int, int], None]


@dataclass(frozen=True)
class Block:
    """Something of a fixed height (points) that is not divided; `draw` gets the sheet, left, top and width."""

    height: float
    draw: Callable[[Sheet, float, float, float], None]
    #: Its entry in the outline; none when empty.
    bookmark: str = ""
    new_page: bool = False


Element: TypeAlias = Block | Table


@dataclass(frozen=True)
class Area:
    """Where things may stand on a page; the first page has a taller head. Points from the lower left."""

    left: float
    width: float
    first_top: float
    top: float
    bottom: float


class Part(NamedTuple):
    """A block, or rows `first` to `after` - 1 of a table, from `top` downwards."""

    element: Element
    top: float
    first: int = 0
    after: int = 0
    #: The group that was begun on an earlier page.
    continued: str = ""


@dataclass
class _Pages:
    """Pages while they are filled."""

    area: Area
    pages: list[list[Part]] = field(default_factory=lambda: [[]])
    y: float = 0.0

    def __post_init__(self) -> None:
        self.y = self.area.first_top

    def turn(self) -> None:
        self.pages.append([])
        self.y = self.area.top

    def block(self, block: Block) -> None:
        if self.pages[-1] and (block.new_page or self.y - block.height < self.area.bottom):
            self.turn()
        self.pages[-1].append(Part(block, self.y))
        self.y -= block.height

    def table(self, table: Table, type_: Typesetter) -> None:
        heights, count, first, group = table.heights(type_), len(table.rows), 0, ""
        while first < count:
            head = table.header_height + (0 if not group or table.rows[first].is_heading else heights[0])
            if self.pages[-1] and self.y - head - _least(table, heights, first) < self.area.bottom:
                self.turn()
            continued = group if group and not table.rows[first].is_heading else ""
            top, y, after = self.y, self.y - head, first
            while after < count and (after == first or y - _least(table, heights, after) >= self.area.bottom):
                y -= heights[after]
                group = table.rows[after].cells[0] if table.rows[after].is_heading else group
                after += 1
            self.pages[-1].append(Part(table, top, first, after, continued))
            self.y, first = y, after


def _least(table: Table, heights: Sequence[float], number: int) -> float:
    """What must fit below for this row to stand there: a heading is not left alone."""
    alone = not table.rows[number].is_heading or number + 1 == len(heights)
    return heights[number] + (0 if alone else heights[number + 1])


def paginate(elements: Sequence[Element], type_: Typesetter, area: Area) -> list[list[Part]]:
    """Which part stands on which page, and where."""
    pages = _Pages(area)
    for element in elements:
        if isinstance(element, Block):
            pages.block(element)
        else:
            pages.table(element, type_)
    return pages.pages


def draw_part(sheet: Sheet, part: Part, area: Area) -> None:
    """Draw one part of one page, with the outline entries that lead to it."""
    element = part.element
    if isinstance(element, Block):
        if element.bookmark:
            sheet.bookmark(element.bookmark)
        element.draw(sheet, area.left, part.top, area.width)
        return
    element.draw_header(sheet, area.left, part.top)
    y = part.top - element.header_height
    if part.continued:
        height = element.heights(sheet.type)[0]
        element.draw_heading(sheet, area.left, y, height, f"{part.continued} (continued)")
        y -= height
    for row in element.rows[part.first : part.after]:
        if row.is_heading:
            sheet.bookmark(row.cells[0], level=1)
    element.draw_rows(sheet, area.left, y, part.first, part.after)
