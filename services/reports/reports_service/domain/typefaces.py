"""The fonts of every script, cut down to the characters of one document. Nothing is drawn or measured here.

The packages hold variable fonts of up to 18 MB; cut to what a document needs first, one is made static in 0.2 s.
"""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from itertools import count
from pathlib import Path
from typing import Any

from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont as FontFile
from fontTools.varLib.instancer import instantiateVariableFont
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont

REGULAR, BOLD = 400, 700
#: What stands for a character that no font has.
REPLACEMENT = "\ufffd"
#: Package, folder below fonts/ofl, beginning of the file's name; asked in this order.
_FAMILIES = (
    ("justmytype_western_core", "notosans", "NotoSans["),
    ("justmytype_intl_rtl", "notosansarabic", "NotoSansArabic"),
    ("justmytype_intl_rtl", "notosanshebrew", "NotoSansHebrew"),
    ("justmytype_intl_cjk", "notosanssc", "NotoSansSC"),
    ("justmytype_intl_cjk", "notosanstc", "NotoSansTC"),
    ("justmytype_intl_cjk", "notosansjp", "NotoSansJP"),
    ("justmytype_intl_cjk", "notosanskr", "NotoSansKR"),
    ("justmytype_western_core", "notosanssymbols2", "NotoSansSymbols2"),
)
BASE = 0
#: Latin with every accent, punctuation, the peso sign: wanted by each document, so made once per process.
_BASE_RANGES = ((0x20, 0x7F), (0xA0, 0x250), (0x1E00, 0x1F00), (0x2010, 0x2028), (0x2030, 0x203B), (0x20B1, 0x20B2))
_NOT_NEEDED = ["GSUB", "GPOS", "GDEF", "BASE", "MATH"]  # letters arrive shaped; reportlab reads none of these
_numbers = count(1)


def _file(family: int) -> Path:
    package, folder, beginning = _FAMILIES[family]
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise ModuleNotFoundError(f"the font package {package} is not installed", name=package)
    files = (Path(found.origin).parent / "fonts" / "ofl" / folder).glob("*.ttf")
    return next(file for file in files if file.name.startswith(beginning))


@lru_cache(maxsize=len(_FAMILIES))
def coverage(family: int) -> frozenset[int]:
    """The code points that a family has glyphs for."""
    with FontFile(_file(family), lazy=True) as font:
        return frozenset(font.getBestCmap())


@lru_cache(maxsize=1)
def base_characters() -> frozenset[str]:
    """The characters of the base font as it is made for every document."""
    wanted = {code for first, end in _BASE_RANGES for code in range(first, end)} | {ord(REPLACEMENT)}
    return frozenset(chr(code) for code in wanted & coverage(BASE))


@lru_cache(maxsize=4096)
def family_of(character: str) -> int | None:
    """The first family that has the character; None when none has."""
    if character in base_characters():
        return BASE
    code = ord(character)
    return next((family for family in range(len(_FAMILIES)) if code in coverage(family)), None)


def _static(family: int, characters: Iterable[str], weight: int, name: str) -> bytes:
    """One weight of a family as a font file with these characters only; reportlab tells fonts apart by `name`."""
    options = Options()
    options.layout_features = []
    options.notdef_outline = True
    options.hinting = False
    options.drop_tables += _NOT_NEEDED
    file = io.BytesIO()
    with FontFile(_file(family), lazy=True) as font:
        subsetter = Subsetter(options)
        subsetter.populate(unicodes=[ord(character) for character in characters])
        subsetter.subset(font)
        if "fvar" in font:
            axes = {axis.axisTag: axis.defaultValue for axis in font["fvar"].axes}
            instantiateVariableFont(font, axes | {"wght": weight}, inplace=True)
        font["name"].setName(name, 6, 3, 1, 0x409)
        font.save(file)
    return file.getvalue()


def _register(family: int, characters: Iterable[str], weight: int) -> Any:
    name = f"Report{next(_numbers)}-{weight}"
    face = TTFont(name, io.BytesIO(_static(family, characters, weight, name)))
    pdfmetrics.registerFont(face)
    return face


@lru_cache(maxsize=2)
def _base_face(weight: int) -> Any:
    return _register(BASE, base_characters(), weight)


class Faces:
    """The fonts of one document, each made when it is first asked for."""

    def __init__(self, characters: Iterable[str]) -> None:
        self._characters: dict[int, set[str]] = {}
        for character in set(characters) - base_characters():
            family = family_of(character)
            if family is not None:
                self._characters.setdefault(family, set()).add(character)
        self._made: dict[tuple[int, int], Any] = {}
        self._names: list[str] = []

    def face(self, family: int, weight: int, character: str) -> Any:
        """reportlab's font for one character of a family (base characters share one font for all documents)."""
        if character in base_characters():
            return _base_face(weight)
        wanted = self._characters.setdefault(family, set())
        if character not in wanted:  # nobody announced it: slower, for one more font, but right
            wanted.add(character)
            self._made.pop((family, weight), None)
        if (family, weight) not in self._made:
            made = self._made[family, weight] = _register(family, wanted, weight)
            self._names.append(made.fontName)
        return self._made[family, weight]

    def forget(self) -> None:
        """Take the fonts of this document out of reportlab's global list."""
        for name in self._names:
            pdfmetrics._fonts.pop(name, None)


@contextmanager
def faces(characters: Iterable[str]) -> Iterator[Faces]:
    """Fonts for one document that has these characters, forgotten afterwards."""
    made = Faces(characters)
    try:
        yield made
    finally:
        made.forget()
