"""A PDF that is being drawn: text, lines, boxes and pictures at given places. Where they go is decided by others."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from reportlab import rl_config
from reportlab.lib.colors import HexColor
from reportlab.pdfgen.canvas import Canvas

from reports_service.domain.typesetting import Line, Run, Typesetter, printable

# Streams as they are, not as text: a quarter smaller, and a fifth of the time.
rl_config.useA85 = 0

Align: TypeAlias = Literal["left", "right", "centre"]
#: Where a text begins, as a part of its width left of the given place.
_SHARE: dict[Align, float] = {"left": 0.0, "centre": 0.5, "right": 1.0}


@dataclass(frozen=True)
class About:
    """What a PDF says of itself."""

    title: str
    subject: str
    author: str
    #: When the figures were read, as it is printed.
    generated: str


class Sheet:
    """Pages of one size (points), origin at the lower left."""

    def __init__(self, size: tuple[float, float], about: About, type_: Typesetter) -> None:
        self._file = io.BytesIO()
        self.width, self.height = size
        self.type = type_
        # Invariant: the same figures give the same bytes; the date is printed on the page.
        self.canvas: Any = Canvas(self._file, pagesize=size, pageCompression=1, invariant=1, lang="en-PH")
        self.canvas.setTitle(about.title)
        self.canvas.setSubject(about.subject)
        self.canvas.setAuthor(about.author)
        self.canvas.setCreator("Muster")
        self._bookmarks = 0

    def colour(self, hex_: str) -> None:
        self.canvas.setFillColor(HexColor(hex_))

    def text(
        self, x: float, y: float, text: str, size: float, *, bold: bool = False, align: Align = "left",
        colour: str | None = None,
    ) -> None:  # fmt: skip
        """One line with its baseline at y."""
        if colour is not None:
            self.colour(colour)
        self.line_of_text(x, y, self.type.line(printable(text), bold), size, align)

    def line_of_text(self, x: float, y: float, line: Line, size: float, align: Align = "left") -> None:
        shown = self.shown(line, size)
        self.canvas._code.append(f"BT 1 0 0 1 {x - _SHARE[align] * line.width * size:.2f} {y:.2f} Tm {shown} ET")

    def shown(self, line: Line, size: float) -> str:
        """The operators that show a line inside a text object, worked out once for all places where it stands."""
        return " ".join(self._told(run, size) for run in line.runs)

    def _told(self, run: Run, size: float) -> str:
        drawn = self._plain(run, size) if run.places is None else self._placed(run, size)
        if not run.meant:
            return drawn
        # Glyphs are drawn, or a gap: whoever copies or searches gets the text itself.
        meant = run.meant.encode("utf-16-be", "surrogatepass").hex().upper()
        return f"/Span <</ActualText <FEFF{meant}>>> BDC {drawn} EMC"

    def _plain(self, run: Run, size: float) -> str:
        return " ".join(f"{name} {size:g} Tf ({encoded}) Tj" for name, encoded in self._encoded(run, run.characters))

    def _placed(self, run: Run, size: float) -> str:
        """Each glyph at its place; `TJ` moves the pen to the left by thousandths, `Ts` lifts what comes."""
        parts: list[str] = []
        named = lifted = None
        for character, place in zip(run.characters, run.places or (), strict=True):
            [(name, encoded)] = self._encoded(run, character)
            if name != named:
                parts.append(f"{name} {size:g} Tf")
            if place.up != lifted:
                parts.append(f"{place.up * size:.3f} Ts")
            named, lifted = name, place.up
            parts.append(f"[{-1000 * place.right:.0f} ({encoded}) {-1000 * place.onward:.0f}] TJ")
        return " ".join([*parts, "0 Ts"])

    def _encoded(self, run: Run, characters: str) -> Iterator[tuple[str, str]]:
        """The name of each font in the file, and what is shown in it."""
        document = self.canvas._doc
        for subset, encoded in run.font.splitString(characters, document):
            yield run.font.getSubsetInternalName(subset, document), self.canvas._escape(encoded)

    def box(self, x: float, y: float, width: float, height: float, colour: str) -> None:
        self.colour(colour)
        self.canvas.rect(x, y, width, height, stroke=0, fill=1)

    def boxes(self, places: Iterable[tuple[float, float, float, float]], colour: str) -> None:
        """Many boxes (x, y, width, height) in one colour."""
        self.colour(colour)
        self.raw([*(f"{x:.2f} {y:.2f} {width:.2f} {height:.2f} re" for x, y, width, height in places), "f"])

    def frame(self, x: float, y: float, width: float, height: float, colour: str, line: float = 0.5) -> None:
        self.canvas.setStrokeColor(HexColor(colour))
        self.canvas.setLineWidth(line)
        self.canvas.rect(x, y, width, height, stroke=1, fill=0)

    def rule(self, x: float, y: float, to_x: float, colour: str, line: float = 0.5) -> None:
        self.canvas.setStrokeColor(HexColor(colour))
        self.canvas.setLineWidth(line)
        self.canvas.line(x, y, to_x, y)

    def raw(self, operators: Iterable[str]) -> None:
        self.canvas._code.extend(operators)

    def bookmark(self, title: str, level: int = 0) -> None:
        """An entry of the outline that leads to the current page."""
        self._bookmarks += 1
        key = f"b{self._bookmarks}"
        self.canvas.bookmarkPage(key)
        self.canvas.addOutlineEntry(printable(title)[:200], key, level, closed=level > 0)

    def end_page(self) -> None:
        self.canvas.showPage()

    def finish(self) -> bytes:
        self.canvas.save()
        return self._file.getvalue()
