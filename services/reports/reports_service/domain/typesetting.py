"""Text of any script to lines that can be drawn: fonts by character, direction, widths, breaks. Draws nothing."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import Any

from arabic_reshaper import ArabicReshaper
from bidi import get_display

from reports_service.domain.typefaces import BASE, BOLD, REGULAR, REPLACEMENT, Faces, base_characters, family_of

_SHAPER = ArabicReshaper({"delete_harakat": False, "support_zwj": True})
#: Direction classes of Unicode that are written from the right.
_RIGHT_TO_LEFT = frozenset({"R", "AL", "AN"})
#: Drawn as nothing: variation selectors, joiners, marks of direction.
_INVISIBLE = frozenset("\u200b\u200c\u200d\u200e\u200f\u2060\ufeff\ufe0e\ufe0f")
_ELLIPSIS = "…"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of text, ready to be drawn."""

    text: str
    #: Pieces in one font each: reportlab's font and the characters in the order they are drawn.
    runs: tuple[tuple[Any, str], ...]
    #: At size 1.
    width: float
    #: Whether a character had to be replaced, so that a reader of the file needs to be told the text.
    replaced: bool


def printable(text: str) -> str:
    """The text on one line, composed, without control characters."""
    composed = unicodedata.normalize("NFC", text)
    if composed.isprintable():
        return composed
    return " ".join(
        "".join(" " if unicodedata.category(c) in {"Cc", "Zl", "Zp", "Cs"} else c for c in composed).split()
    )


@lru_cache(maxsize=4096)
def drawn(text: str) -> str:
    """The characters that are drawn, from left to right: letters joined, directions resolved, gaps in fonts visible."""
    if text.isascii():
        return text
    if any(unicodedata.bidirectional(character) in _RIGHT_TO_LEFT for character in text):
        text = str(get_display(_SHAPER.reshape(text), base_dir="L"))
    visible = (character for character in text if character not in _INVISIBLE)
    return "".join(character if family_of(character) is not None else REPLACEMENT for character in visible)


class Typesetter:
    """Measures and breaks the texts of one document; equal texts are worked on once."""

    def __init__(self, faces: Faces) -> None:
        self._faces = faces
        self.line: Callable[[str, bool], Line] = lru_cache(maxsize=50_000)(self._line)

    def _line(self, text: str, bold: bool = False) -> Line:
        weight = BOLD if bold else REGULAR
        characters = drawn(text)
        if base_characters().issuperset(characters):
            runs: tuple[tuple[Any, str], ...] = ((self._faces.face(BASE, weight, " "), characters),)
        else:
            faces = [(self._faces.face(family_of(c) or BASE, weight, c), c) for c in characters]
            runs = tuple((face, "".join(c for _, c in pair)) for face, pair in groupby(faces, key=lambda one: one[0]))
        width = sum(face.stringWidth(piece, 1) for face, piece in runs)
        return Line(text, runs, width, REPLACEMENT in characters and REPLACEMENT not in text)

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
        return space + 1 if space > 0 else low

    def fitting_size(self, text: str, width: float, size: float, *, bold: bool = False, least: float = 6.0) -> float:
        """The largest size up to `size` at which the text is at most `width` points wide, never below `least`."""
        natural = self.line(text, bold).width
        return max(least, min(size, width / natural)) if natural else size
