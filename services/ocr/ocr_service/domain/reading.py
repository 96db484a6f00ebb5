"""What Tesseract read on one page, and which of several readings is the best. Tesseract is not called here."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

#: Mean confidence (0-100) from which a reading is good enough not to try another preparation.
GOOD = 85.0
#: Below this most of the page was not read; it may be upside down.
POOR = 65.0

#: A bar before a word in small letters: Tesseract takes the "I" of plain typefaces for it.
_LONE_BAR = re.compile(r"(?<!\S)\|(?= [a-z])")


@dataclass(frozen=True, slots=True)
class Reading:
    """Text with its line and paragraph breaks, and how sure Tesseract is of it."""

    text: str
    #: Mean over the words, weighted by their length, 0-100; 0 when there is none.
    confidence: float
    words: int
    #: Sum of confidence over all characters: what a reading is worth, since it counts what was missed, too.
    worth: float


def reading_of(data: Mapping[str, Sequence[Any]]) -> Reading:
    """The reading in Tesseract's table of words (`image_to_data`): block, paragraph, line, confidence, text."""
    pieces: list[str] = []
    before: tuple[int, int, int] | None = None
    worth, characters, words = 0.0, 0, 0
    for block, paragraph, line, confidence, text in zip(
        data["block_num"], data["par_num"], data["line_num"], data["conf"], data["text"], strict=True
    ):
        word = str(text).strip()
        if float(confidence) < 0 or not word:
            continue
        here = (int(block), int(paragraph), int(line))
        if before is not None:
            pieces.append(" " if here == before else "\n" if here[:2] == before[:2] else "\n\n")
        pieces.append(word)
        before = here
        words += 1
        characters += len(word)
        worth += float(confidence) * len(word)
    return Reading(_LONE_BAR.sub("I", "".join(pieces)), worth / characters if characters else 0.0, words, worth)


def better(one: Reading, other: Reading) -> Reading:
    """The reading that found more, and surer; the first when they are worth the same."""
    return other if _merit(other) > _merit(one) else one


def _merit(reading: Reading) -> float:
    # Squared confidence: twice the characters at half the confidence are noise, not text.
    return reading.worth * reading.confidence
