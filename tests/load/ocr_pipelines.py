"""What ocr_bench compares: three ways to read a letter, and the letters by class. Prints and judges nothing."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import pytesseract
from ocr_service.domain.recognition import recognise
from ocr_service.tesseract import Tesseract, find_tesseract
from ocr_service.testing.damage import askew, blurred, noisy, pale, photographed, turned
from ocr_service.testing.letters import TEXTS, accuracy, draw
from PIL import Image, ImageEnhance, ImageFilter

#: Everybody gets one thread, so that the times are of one processor.
os.environ["OMP_THREAD_LIMIT"] = "1"
SIZES = (10, 12, 14, 16, 18, 20, 24, 28)
TURNED_SIZES = (14, 20, 28)
Harm = Callable[[Image.Image], Image.Image]
_OF_CHANCE = (("noise", noisy), ("low contrast", pale), ("photographed", photographed))


@dataclass(frozen=True)
class LetterClass:
    """Letters in one size of writing that met the same fate; where chance had a hand in it, by its seed."""

    harm: str
    size: int
    function: Harm
    seed: int | None = None

    @property
    def name(self) -> str:
        return f"{self.harm}, {self.size} px" + ("" if self.seed is None else f", seed {self.seed}")

    @property
    def upright(self) -> bool:
        return self.harm == "upright"


def _unharmed(page: Image.Image) -> Image.Image:
    return page


def all_classes(seeds: Sequence[int]) -> Iterator[LetterClass]:
    """Each fate in its sizes; those of chance once for each seed."""
    for size in SIZES:
        yield LetterClass("upright", size, _unharmed)
    for size in TURNED_SIZES:
        for degrees in (90, 180, 270):
            yield LetterClass(f"turned {degrees}", size, partial(turned, degrees=degrees))
        for skew in (1, 2, 3, 4, 5, -5):
            yield LetterClass(f"askew {skew}", size, partial(askew, degrees=skew))
    for size in TURNED_SIZES:
        yield LetterClass("blur", size, partial(blurred, radius=1.2 if size > 14 else 0.8))
        for harm, function in _OF_CHANCE:
            for seed in seeds:
                yield LetterClass(harm, size, partial(function, seed=seed), seed)


@cache
def tesseract() -> Tesseract:
    found = find_tesseract("", "", 300.0)
    pytesseract.pytesseract.tesseract_cmd = found.command
    return found


def _config() -> str:
    return f"--tessdata-dir {tesseract().data}" if tesseract().data else ""


def _words(page: Image.Image) -> str:
    table = pytesseract.image_to_data(page, lang="eng", config=_config(), output_type=pytesseract.Output.DICT)
    rows = zip(table["conf"], table["text"], strict=True)
    return " ".join(str(text) for confidence, text in rows if float(confidence) >= 0)


def plain(page: Image.Image) -> str:
    """One pass of Tesseract over the picture as it is."""
    return _words(page)


def ours(page: Image.Image) -> str:
    return recognise(page, tesseract().reader("eng")).text


def old(page: Image.Image) -> str:
    """The pipeline that the backend had, rebuilt from its description: turned the wrong way, sharpened, read twice."""
    page = _old_turn(page).convert("L")
    page = ImageEnhance.Contrast(page).enhance(2.0).filter(ImageFilter.SHARPEN).filter(ImageFilter.MedianFilter(3))
    _words(page)
    return str(pytesseract.image_to_string(page, lang="eng", config=_config()))


def _old_turn(page: Image.Image) -> Image.Image:
    data = tesseract().data
    # The wheels keep what tells which way up a page is apart from the languages.
    folder = str(Path(sys.prefix) / "share/tessdata") if data else ""
    try:
        told = pytesseract.image_to_osd(
            page, config=f"--tessdata-dir {folder}" if folder else "", output_type=pytesseract.Output.DICT
        )
    except pytesseract.TesseractError:
        return page  # too few characters to tell, which the old pipeline took for upright
    return page.rotate(float(told["rotate"]), expand=True) if told["rotate"] else page


PIPELINES: dict[str, Callable[[Image.Image], str]] = {"old": old, "plain": plain, "ours": ours}


@dataclass(frozen=True)
class Trial:
    """One pipeline on all letters of one class: share of the words read, processor seconds of us and Tesseract."""

    letters: LetterClass
    pipeline: str
    accuracy: float
    seconds: float


def trial(letters: LetterClass, pipeline: str) -> Trial:
    """Read every letter of a class; to be called in a process of its own, since children's time is counted."""
    pages = [letters.function(draw(text, letters.size)) for text in TEXTS]
    before = _processor_seconds()
    read = [PIPELINES[pipeline](page) for page in pages]
    seconds = _processor_seconds() - before
    shares = [accuracy(text, found) for text, found in zip(TEXTS, read, strict=True)]
    return Trial(letters, pipeline, sum(shares) / len(shares), seconds)


def _processor_seconds() -> float:
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime
