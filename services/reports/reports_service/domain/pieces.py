"""Text cut into pieces of one font each, from left to right as they stand on paper. Fonts are only chosen, not made."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from bidi import get_display

from reports_service.domain.families import BASE, FAMILIES, common_characters, coverage, family_of

#: Stands for the characters of the base family that all documents share, and for those that no family has.
COMMON, GAP = -1, -2
#: Direction classes of Unicode that are written from the right.
_RIGHT_TO_LEFT = frozenset({"R", "AL", "AN"})
_JOINER = "\u200d"
#: Seen only in what they do to their neighbours: joiners and variation selectors ...
_JOINERS = frozenset({"\u200c", _JOINER, "\ufe0e", "\ufe0f"})
#: ... or not at all: marks of direction, breaks that are not taken.
_INVISIBLE = frozenset("\u200b\u200e\u200f\u2060\ufeff")


class Piece(NamedTuple):
    """Characters of one family."""

    #: COMMON, GAP, or its place in FAMILIES.
    family: int
    #: In the order they are read, also where that is from the right.
    text: str
    from_right: bool = False


@lru_cache(maxsize=4096)
def pieces_of(text: str) -> tuple[Piece, ...]:
    """The pieces, those that no font has among them."""
    if text.isascii() or common_characters().issuperset(text):
        return (Piece(COMMON, text),)
    mixed = any(unicodedata.bidirectional(character) in _RIGHT_TO_LEFT for character in text)
    seen = str(get_display(text, base_dir="L")) if mixed else text
    pieces = tuple(
        _piece(family, "".join(character for _, character in pair))
        for family, pair in groupby(_with_families(seen), key=itemgetter(0))
    )
    return pieces or (Piece(COMMON, ""),)


def wanted_characters(texts: Iterable[str]) -> dict[int, set[str]]:
    """The characters that the pieces of these texts need, by family."""
    found: dict[int, set[str]] = {}
    for text in texts:
        for family, characters, _ in pieces_of(text):
            if family >= BASE:
                found.setdefault(family, set()).update(characters)
    return found


def begins_cluster(text: str, place: int) -> bool:
    """Whether a line may end before this character: not before a mark or joiner, nor after a joiner."""
    character = text[place]
    return not (_clings(character) or character in _JOINERS or text[place - 1] == _JOINER)


def _clings(character: str) -> bool:
    """Marks, and the tones of skin that follow an emoji."""
    return unicodedata.category(character).startswith("M") or "\U0001f3fb" <= character <= "\U0001f3ff"


def _with_families(seen: str) -> Iterator[tuple[int, str]]:
    before, last = COMMON, ""
    for character in seen:
        if character in _INVISIBLE:
            continue
        family = _family(character, before, last)
        if family is None and character in _JOINERS:
            continue
        before, last = GAP if family is None else family, character
        yield before, character


def _family(character: str, before: int, last: str) -> int | None:
    """The character's family; marks, and what is joined to the last character, stay with that where they can."""
    shaped = before >= BASE and FAMILIES[before].shaped
    if character in _JOINERS:
        return before if shaped else None
    if shaped and (last == _JOINER or _clings(character)) and ord(character) in coverage(before):
        return before
    family = family_of(character)
    return COMMON if family == BASE and character in common_characters() else family


def _piece(family: int, seen: str) -> Piece:
    # Within one script directions do not change, but for numbers, which being turned twice leaves as they are.
    from_right = family != COMMON and any(unicodedata.bidirectional(one) in _RIGHT_TO_LEFT for one in seen)
    return Piece(family, seen[::-1] if from_right else seen, from_right)
