"""Pages of a PDF: the text it carries itself, or the picture of a page. What is in the picture is not read here."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c
from PIL import Image

from ocr_service.domain.errors import DamagedDocument, DocumentTooLarge, EncryptedDocument
from ocr_service.domain.pictures import MAX_PAGES, too_many_pages

DPI = 300
#: A page that would have more pixels at 300 dpi is rendered smaller; a letter has 9 million.
MAX_PIXELS = 25_000_000
#: More than a page can show (millimetres of text lines included): a bomb.
MAX_CHARACTERS = 100_000
#: Fewer letters and digits than these do not make a page of text, where a picture covers half of it.
LITTLE_TEXT = 200
#: Share of the characters that must be readable; fonts without a mapping give symbols from nowhere.
_READABLE = 0.7
_POINTS_PER_INCH = 72


@contextmanager
def open_pdf(data: bytes) -> Iterator[pdfium.PdfDocument]:
    """The document, closed afterwards. Raises EncryptedDocument, DamagedDocument, DocumentTooLarge."""
    try:
        document = pdfium.PdfDocument(data)
    except pdfium.PdfiumError as error:
        if getattr(error, "err_code", None) == pdfium_c.FPDF_ERR_PASSWORD:
            raise EncryptedDocument("The PDF is protected by a password: send it without one.") from error
        raise DamagedDocument("The PDF is cut off or damaged: export it again and resend it.") from error
    with closing(document):
        pages = len(document)
        if pages > MAX_PAGES:
            raise too_many_pages(pages)
        if pages == 0:
            raise DamagedDocument("The PDF has no pages: export it again and resend it.")
        yield document


def count_pages(data: bytes) -> int:
    """How many pages the PDF has. Raises as open_pdf."""
    with open_pdf(data) as document:
        return len(document)


def page_text_or_picture(data: bytes, number: int) -> str | Image.Image:
    """The page's own text where it is worth reading, else its picture in grey at 300 dpi; `number` from 1.

    Raises: as open_pdf.
    """
    with open_pdf(data) as document, _page(document, number) as page:
        text = _own_text(page)
        if _is_worth_reading(text) and not (_alphanumerics(text) < LITTLE_TEXT and _is_mostly_picture(page)):
            return text
        return _rendered(page)


@contextmanager
def _page(document: pdfium.PdfDocument, number: int) -> Iterator[pdfium.PdfPage]:
    try:
        page = document[number - 1]
    except pdfium.PdfiumError as error:
        raise DamagedDocument(f"Page {number} of the PDF is damaged: export it again and resend it.") from error
    with closing(page):
        yield page


def _own_text(page: pdfium.PdfPage) -> str:
    with closing(page.get_textpage()) as layer:
        if layer.count_chars() > MAX_CHARACTERS:
            raise DocumentTooLarge(f"A page of the PDF has more than {MAX_CHARACTERS:,} characters: split it.")
        text: str = layer.get_text_bounded()
    return text.replace("\r\n", "\n").strip()


def _is_worth_reading(text: str) -> bool:
    visible = [character for character in text if not character.isspace()]
    readable = sum(unicodedata.category(character)[0] in "LNPSM" and character != "\ufffd" for character in visible)
    return _alphanumerics(text) > 0 and readable >= _READABLE * len(visible)


def _alphanumerics(text: str) -> int:
    return sum(character.isalnum() for character in text)


def _is_mostly_picture(page: pdfium.PdfPage) -> bool:
    """Whether pictures cover half of the page: a scan with a stamp or a watermark as its only text."""
    width, height = page.get_size()
    covered = 0.0
    for found in page.get_objects(filter=[pdfium_c.FPDF_PAGEOBJ_IMAGE], max_depth=3):
        left, bottom, right, top = found.get_bounds()
        covered += max(0.0, right - left) * max(0.0, top - bottom)
    return bool(covered >= 0.5 * width * height)


def _rendered(page: pdfium.PdfPage) -> Image.Image:
    width, height = page.get_size()
    scale = DPI / _POINTS_PER_INCH
    area = max(width * height, 1.0)
    scale = min(scale, (MAX_PIXELS / area) ** 0.5)
    bitmap = page.render(scale=scale, grayscale=True, may_draw_forms=False)
    with closing(bitmap):
        picture: Image.Image = bitmap.to_pil().convert("L")
        return picture.copy()
