"""Which glyphs stand for a piece of text, and where, by HarfBuzz: letters join, stack and change places. Draws nothing.

reportlab draws characters, not glyphs; so a font that is shaped has each of its glyphs under a private character, too.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import uharfbuzz

#: Glyph 0 is under this character, glyph 1 under the next; 6,400 have room, of which a document needs a few hundred.
FIRST_PRIVATE, MOST_GLYPHS = 0xE000, 6400


class Place(NamedTuple):
    """Where a glyph stands, at size 1, from where the pen is."""

    right: float
    up: float
    #: How much further than by the glyph's own width the pen moves, back from `right` included.
    onward: float


class Shaped(NamedTuple):
    """Glyphs from left to right."""

    characters: str
    #: None where each follows the last as it would unshaped.
    places: tuple[Place, ...] | None
    #: At size 1.
    width: float
    #: Whether what the glyphs mean, one after the other, is the text, so that readers need not be told.
    readable: bool


class Shaper:
    """Shapes with one font file, all of whose glyphs are under private characters."""

    def __init__(self, data: bytes) -> None:
        self._font: Any = uharfbuzz.Font(uharfbuzz.Face(data))
        self._unit: float = 1 / self._font.face.upem
        #: What a private character stands for in a text, of those that stand for the same in every text.
        self.meanings: dict[int, str] = {}

    def shape(self, text: str, *, from_right: bool) -> Shaped:
        """The glyphs of a text in one script."""
        buffer = uharfbuzz.Buffer()
        buffer.add_str(text)
        buffer.guess_segment_properties()
        buffer.direction = "rtl" if from_right else "ltr"
        uharfbuzz.shape(self._font, buffer)
        glyphs = list(zip(buffer.glyph_infos, buffer.glyph_positions, strict=True))
        characters = "".join(chr(FIRST_PRIVATE + info.codepoint) for info, _ in glyphs)
        places = tuple(self._place(info.codepoint, position) for info, position in glyphs)
        return Shaped(
            characters,
            places if any(map(any, places)) else None,
            sum(position.x_advance for _, position in glyphs) * self._unit,
            not from_right and self._tell(text, [info.cluster for info, _ in glyphs], characters),
        )

    def _tell(self, text: str, clusters: list[int], characters: str) -> bool:
        """Whether each glyph stands for a part of the text, as emoji do, and means this part everywhere else, too."""
        if len(set(clusters)) < len(clusters) or clusters != sorted(clusters):
            return False
        parts = [text[begin:end] for begin, end in zip(clusters, [*clusters[1:], len(text)], strict=True)]
        return all(
            self.meanings.setdefault(ord(one), part) == part for one, part in zip(characters, parts, strict=True)
        )

    def _place(self, glyph: int, position: Any) -> Place:
        own = self._font.get_glyph_h_advance(glyph)
        return Place(
            position.x_offset * self._unit,
            position.y_offset * self._unit,
            (position.x_advance - own - position.x_offset) * self._unit,
        )
