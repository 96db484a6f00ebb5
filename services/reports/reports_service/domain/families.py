"""The font families there are, and which of them has a character. No font is made here."""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from fontTools.ttLib import TTFont as FontFile

#: What stands for a character that no font has.
REPLACEMENT = "\ufffd"


class Family(NamedTuple):
    """One family: its package, the folder in it, and how the file's name begins."""

    package: str
    folder: str
    beginning: str
    #: Whether letters join, stack or change places, so that HarfBuzz has to choose and place the glyphs.
    shaped: bool = False


def _pack(package: str, name: str) -> Family:
    return Family(f"justmytype_{package}", f"fonts/ofl/{name.lower()}", f"{name}[")


def _shaped(name: str) -> Family:
    return Family("manimgx_fonts", "", f"{name}[", shaped=True)


_SCRIPTS = (
    "Thai", "Lao", "Khmer", "Myanmar", "Devanagari", "Bengali", "Gujarati", "Gurmukhi", "Kannada", "Malayalam", "Oriya",
    "Sinhala", "Tamil", "Telugu", "Armenian", "Ethiopic", "Georgian",
)  # fmt: skip
#: Asked in this order.
FAMILIES = (
    _pack("western_core", "NotoSans"),
    _shaped("NotoSansArabic"),
    _shaped("NotoSansHebrew"),
    _pack("intl_cjk", "NotoSansSC"),
    _pack("intl_cjk", "NotoSansTC"),
    _pack("intl_cjk", "NotoSansJP"),
    _pack("intl_cjk", "NotoSansKR"),
    *(_shaped(f"NotoSans{script}") for script in _SCRIPTS),
    _shaped("NotoEmoji"),
    Family("justmytype_western_core", "fonts/ofl/notosanssymbols2", "NotoSansSymbols2"),
    _shaped("NotoSansSymbols"),
)
BASE = 0
#: In NotoSans, too, but shaped by the rules of its own family.
_DEVANAGARI = frozenset([*range(0x0900, 0x0980), *range(0x1CD0, 0x1D00), *range(0xA8E0, 0xA900)])
#: Latin with every accent, punctuation, the peso sign: wanted by each document, so made once per process.
_COMMON_RANGES = ((0x20, 0x7F), (0xA0, 0x250), (0x1E00, 0x1F00), (0x2010, 0x2028), (0x2030, 0x203B), (0x20B1, 0x20B2))


def font_file(family: int) -> Path:
    """Where the family's variable font lies. Raises ModuleNotFoundError without its package."""
    package, folder, beginning, _ = FAMILIES[family]
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise ModuleNotFoundError(f"the font package {package} is not installed", name=package)
    files = (Path(found.origin).parent / folder).glob("*.ttf")
    return next(file for file in files if file.name.startswith(beginning))


@lru_cache(maxsize=len(FAMILIES))
def coverage(family: int) -> frozenset[int]:
    """The code points that a family has glyphs for."""
    with FontFile(font_file(family), lazy=True) as font:
        found = frozenset(font.getBestCmap())
    return found - _DEVANAGARI if family == BASE else found


@lru_cache(maxsize=1)
def common_characters() -> frozenset[str]:
    """The characters of the base font as it is made for every document."""
    wanted = {code for first, end in _COMMON_RANGES for code in range(first, end)} | {ord(REPLACEMENT)}
    return frozenset(chr(code) for code in wanted & coverage(BASE))


@lru_cache(maxsize=4096)
def family_of(character: str) -> int | None:
    """The first family that has the character; None when none has."""
    if character in common_characters():
        return BASE
    code = ord(character)
    return next((family for family in range(len(FAMILIES)) if code in coverage(family)), None)
