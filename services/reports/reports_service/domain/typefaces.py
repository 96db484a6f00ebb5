"""The fonts of one document: each family cut down to the characters it needs and made static. Measures nothing.

The packages hold variable fonts of up to 18 MB; cut to what a document needs first, one is made static in 0.2 s.
"""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from itertools import count
from typing import Any, NamedTuple

from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont as FontFile
from fontTools.varLib.instancer import instantiateVariableFont
from reportlab.pdfbase import pdfmetrics

from reports_service.domain.families import BASE, FAMILIES, common_characters, coverage, font_file
from reports_service.domain.pieces import COMMON
from reports_service.domain.shaping import FIRST_PRIVATE, MOST_GLYPHS, Shaper
from reports_service.domain.told_font import ToldFont

REGULAR, BOLD = 400, 700
_RULES = ["GSUB", "GPOS", "GDEF"]
_NOT_NEEDED = ["BASE", "MATH"]
#: HarfBuzz puts it under a mark that stands alone.
_DOTTED_CIRCLE = 0x25CC
_numbers = count(1)


class Face(NamedTuple):
    """One weight of a family, for one document."""

    #: reportlab's font.
    font: Any
    #: None where each character is its own glyph.
    shaper: Shaper | None


def _static(family: int, characters: Iterable[str], weight: int, name: str) -> bytes:
    """One weight of a family as a font file with these characters only; reportlab tells fonts apart by `name`."""
    shaped = FAMILIES[family].shaped
    options = Options()
    options.layout_features = ["*"] if shaped else []
    options.notdef_outline = True
    options.hinting = False
    options.drop_tables += _NOT_NEEDED if shaped else _NOT_NEEDED + _RULES
    codes = {ord(character) for character in characters}
    file = io.BytesIO()
    with FontFile(font_file(family), lazy=True) as font:
        subsetter = Subsetter(options)
        subsetter.populate(unicodes=codes | _what_shaping_adds(family, codes) if shaped else codes)
        subsetter.subset(font)
        if "fvar" in font:
            axes = {axis.axisTag: axis.defaultValue for axis in font["fvar"].axes}
            instantiateVariableFont(font, axes | {"wght": weight}, inplace=True)
        if shaped:
            _name_each_glyph(font)
        font["name"].setName(name, 6, 3, 1, 0x409)
        font.save(file)
    return file.getvalue()


def _what_shaping_adds(family: int, codes: set[int]) -> set[int]:
    """Characters that HarfBuzz puts in place of those in a text: marks, parts of letters, what carries a lone mark."""
    parts = {ord(part) for code in codes for part in unicodedata.normalize("NFKD", chr(code))}
    marks = {code for code in coverage(family) if unicodedata.category(chr(code)).startswith("M")}
    return (parts | marks | {_DOTTED_CIRCLE}) & coverage(family)


def _name_each_glyph(font: Any) -> None:
    """Put every glyph under a private character, since reportlab draws characters only."""
    glyphs = font.getGlyphOrder()[:MOST_GLYPHS]
    private = {FIRST_PRIVATE + number: glyph for number, glyph in enumerate(glyphs)}
    for table in font["cmap"].tables:
        if table.isUnicode() and table.format in (4, 12):
            table.cmap.update(private)


def _make(family: int, characters: Iterable[str], weight: int) -> Face:
    name = f"Report{next(_numbers)}-{weight}"
    data = _static(family, characters, weight, name)
    shaper = Shaper(data) if FAMILIES[family].shaped else None
    font = ToldFont(name, data, shaper.meanings if shaper else {})
    pdfmetrics.registerFont(font)
    return Face(font, shaper)


@lru_cache(maxsize=2)
def _common_face(weight: int) -> Face:
    return _make(BASE, common_characters(), weight)


class Faces:
    """The fonts of one document, each made when it is first asked for."""

    def __init__(self, characters: Mapping[int, Iterable[str]]) -> None:
        self._characters = {family: set(wanted) for family, wanted in characters.items()}
        self._made: dict[tuple[int, int], Face] = {}
        self._names: list[str] = []

    def face(self, family: int, weight: int, text: str) -> Face:
        """The face for a piece of text; what is COMMON has one for all documents."""
        if family == COMMON:
            return _common_face(weight)
        wanted = self._characters.setdefault(family, set())
        if not wanted.issuperset(text):  # nobody announced it: slower, for one more font, but right
            wanted.update(text)
            self._made.pop((family, weight), None)
        if (family, weight) not in self._made:
            made = self._made[family, weight] = _make(family, wanted, weight)
            self._names.append(made.font.fontName)
        return self._made[family, weight]

    def forget(self) -> None:
        """Take the fonts of this document out of reportlab's global list."""
        for name in self._names:
            pdfmetrics._fonts.pop(name, None)


@contextmanager
def faces(characters: Mapping[int, Iterable[str]]) -> Iterator[Faces]:
    """Fonts for one document that has these characters, by family; forgotten afterwards."""
    made = Faces(characters)
    try:
        yield made
    finally:
        made.forget()
