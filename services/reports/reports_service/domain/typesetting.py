"""Text of any script to lines that can be drawn: fonts by character, direction, widths, breaks. Draws nothing."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from reports_service.domain.families import REPLACEMENT
from reports_service.domain.pieces import COMMON, GAP, Piece, begins_cluster, pieces_of, wanted_characters
from reports_service.domain.shaping import Place
from reports_service.domain.typefaces import BOLD, REGULAR, Faces

_ELLIPSIS = "…"


class Run(NamedTuple):
    """Characters in one font, from left to right."""

    #: reportlab's font.
    font: Any
    characters: str
    #: Where each stands; None where one follows the other.
    places: tuple[Place, ...] | None = None
    #: The text, where other characters are drawn than it has, so that a reader of the file is told it.
    meant: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of text, ready to be drawn."""

    text: str
    runs: tuple[Run, ...]
    #: At size 1.
    width: float


def printable(text: str) -> str:
    """The text on one line, composed, without control characters."""
    composed = unicodedata.normalize("NFC", text)
    if composed.isprintable():
        return composed
    return " ".join(
        "".join(" " if unicodedata.category(c) in {"Cc", "Zl", "Zp", "Cs"} else c for c in composed).split()
    )


def characters_of(texts: Iterable[str]) -> dict[int, set[str]]:
    """Every character that drawing these texts may need, by family."""
    return wanted_characters(printable(text) for text in texts if not text.isascii())


class Typesetter:
    """Measures and breaks the texts of one document; equal texts are worked on once."""

    def __init__(self, faces: Faces) -> None:
        self._faces = faces
        self.line: Callable[[str, bool], Line] = lru_cache(maxsize=50_000)(self._line)

    def _line(self, text: str, bold: bool = False) -> Line:
        weight = BOLD if bold else REGULAR
        runs, widths = zip(*(self._run(piece, weight) for piece in pieces_of(text)), strict=True)
        return Line(text, runs, sum(widths))

    def _run(self, piece: Piece, weight: int) -> tuple[Run, float]:
        if piece.family == GAP:
            gap = self._run(Piece(COMMON, REPLACEMENT * len(piece.text)), weight)
            return gap[0]._replace(meant=piece.text), gap[1]
        face = self._faces.face(piece.family, weight, piece.text)
        if face.shaper is None:
            return Run(face.font, piece.text), face.font.stringWidth(piece.text, 1)
        shaped = face.shaper.shape(piece.text, from_right=piece.from_right)
        meant = "" if shaped.readable else piece.text
        return Run(face.font, shaped.characters, shaped.places, meant), shaped.width

    def wrap(self, text: str, width: float, size: float, *, bold: bool = False, most: int = 60) -> list[Line]:
        """The text in lines of at most `width` points; what is beyond `most` lines ends in an ellipsis."""
        whole = self.line(text, bold)
        if whole.width * size <= width:
            return [whole]
        lines: list[str] = []
        rest = text
        while rest:
            taken = self._fitting(rest, width / size, bold)
            lines.append(rest[:taken].rstrip())
            rest = rest[taken:].lstrip()
            if len(lines) == most and rest:
                lines[-1] = lines[-1][:-1] + _ELLIPSIS
                break
        return [self.line(line, bold) for line in lines]

    def _fitting(self, text: str, width: float, bold: bool) -> int:
        """How many characters fit, broken at a space where there is one; at least one."""
        low, high = 1, len(text)
        while low < high:
            middle = (low + high + 1) // 2
            if self._line(text[:middle], bold).width <= width:
                low = middle
            else:
                high = middle - 1
        if low == len(text) or text[low] == " ":
            return low
        space = text.rfind(" ", 0, low)
        if space > 0:
            return space + 1
        # No space: anywhere between two letters with their marks.
        return next((place for place in range(low, 0, -1) if begins_cluster(text, place)), low)

    def fitting_size(self, text: str, width: float, size: float, *, bold: bool = False, least: float = 6.0) -> float:
        """The largest size up to `size` at which the text is at most `width` points wide, never below `least`."""
        natural = self.line(text, bold).width
        return max(least, min(size, width / natural)) if natural else size
