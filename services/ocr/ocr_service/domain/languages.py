"""Which of the languages asked for can be used, and what to say of the others. Asks no Tesseract."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from ocr_service.domain.errors import UnreadableDocument

FALLBACK = "eng"


class NoLanguage(UnreadableDocument):
    """There is data for none of the languages, nor for English."""


class Chosen(NamedTuple):
    """What the document is read with, as Tesseract writes it ("eng+fil"), and one sentence if that is not all."""

    language: str
    warning: str | None


def choose(asked: str, installed: Collection[str]) -> Chosen:
    """The installed ones of the languages asked for, else English.

    Raises: NoLanguage.
    """
    wanted = list(dict.fromkeys(asked.split("+")))
    there = [language for language in wanted if language in installed]
    missing = [language for language in wanted if language not in installed]
    if not there and FALLBACK not in installed:
        raise NoLanguage(f"Tesseract has no data for {asked} here, nor for English: ask the operators to install it.")
    used = "+".join(there or [FALLBACK])
    if not missing:
        return Chosen(used, None)
    return Chosen(used, f"There is no language data for {', '.join(missing)} here: pictures are read with {used}.")
