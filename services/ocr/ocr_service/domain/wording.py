"""Text as it is stored: without what no database keeps and no person sees, and how sure it is as a whole."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from ocr_service.domain.errors import DocumentTooLarge

#: Of one document; fifty full pages have half of it, and a task's result ends at 1 MB.
MAX_CHARACTERS = 300_000


def clean(text: str) -> str:
    """The text without control characters and halves of surrogate pairs, ends of lines trimmed."""
    kept = "".join(c for c in text if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cs"))
    return "\n".join(line.rstrip() for line in kept.split("\n")).strip()


def join_pages(texts: Sequence[str]) -> str:
    """One text of all pages, an empty line between two. Raises DocumentTooLarge."""
    whole = "\n\n".join(text for text in texts if text)
    if len(whole) > MAX_CHARACTERS:
        raise DocumentTooLarge(f"The document has more than {MAX_CHARACTERS:,} characters: split it.")
    return whole


def whole_confidence(pages: Sequence[tuple[str, float]]) -> float:
    """Mean confidence of (text, confidence) weighted by the characters, two decimals; 0.0 when there is no text."""
    characters = sum(len(text) for text, _ in pages)
    if not characters:
        return 0.0
    return round(sum(len(text) * confidence for text, confidence in pages) / characters, 2)
