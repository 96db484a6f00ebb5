"""What runs in a child process: how many pages a document has, and one page read. Nothing of it is remembered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ocr_service.domain import docx, pdf, pictures
from ocr_service.domain.filetypes import DocumentType, type_of
from ocr_service.domain.recognition import recognise
from ocr_service.domain.wording import clean
from ocr_service.tesseract import Tesseract

_CERTAIN = 100.0


@dataclass(frozen=True, slots=True)
class PageText:
    """What one page says."""

    text: str
    #: 0-100; of text that the document itself carries, 100.
    confidence: float
    source: Literal["text", "ocr"]


def count_pages(data: bytes) -> int:
    """Pages of a document; a DOCX counts as one, since only Word knows its pages. Raises UnreadableDocument."""
    match type_of(data):
        case DocumentType.PDF:
            return pdf.count_pages(data)
        case DocumentType.DOCX:
            return 1
        case _:
            return pictures.count_pages(data)


def read_page(data: bytes, number: int, tesseract: Tesseract, language: str) -> PageText:
    """One page, `number` from 1.

    Raises: UnreadableDocument, PageTookTooLong.
    """
    match type_of(data):
        case DocumentType.DOCX:
            return PageText(clean(docx.docx_text(data)), _CERTAIN, "text")
        case DocumentType.PDF:
            found = pdf.page_text_or_picture(data, number)
            if isinstance(found, str):
                return PageText(clean(found), _CERTAIN, "text")
        case _:
            found = pictures.page_picture(data, number)
    reading = recognise(found, tesseract.reader(language))
    return PageText(clean(reading.text), reading.confidence, "ocr")
