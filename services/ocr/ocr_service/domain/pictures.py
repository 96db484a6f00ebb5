"""From hostile bytes of a picture file to its pages in memory, with the limits. What they say is not read here."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image, ImageFile, ImageOps

from ocr_service.domain.errors import DamagedDocument, DocumentTooLarge, UnreadableDocument

MAX_MEGAPIXELS = 50
MAX_PAGES = 50
_MEGA = 1_000_000
_FORMATS = ("JPEG", "PNG", "WEBP", "TIFF")


def count_pages(data: bytes) -> int:
    """How many pages a picture file has (1 but for TIFF). Raises DamagedDocument, DocumentTooLarge."""
    with _refusing(), _opened(data) as picture:
        if picture.format != "TIFF":
            return 1
        pages = 1
        # Counted by going there: the list of pages is a chain which may be endless.
        while pages <= MAX_PAGES:
            try:
                picture.seek(pages)
            except EOFError:
                return pages
            pages += 1
    raise too_many_pages(None)


def page_picture(data: bytes, number: int) -> Image.Image:
    """A page of a picture file, upright by its EXIF orientation; `number` from 1. Raises UnreadableDocument."""
    with _refusing(), _opened(data) as picture:
        if number > 1:
            picture.seek(number - 1)
            _check_size(picture.size)
        if picture.mode == "RGB":
            picture.draft("L", picture.size)  # a JPEG decodes to grey by itself, in a third of the memory
        picture.load()
        upright = ImageOps.exif_transpose(picture)
        return upright if upright is not picture else picture.copy()


def too_many_pages(pages: int | None) -> DocumentTooLarge:
    """The refusal of a document with more pages than are read here."""
    has = f"more than {MAX_PAGES}" if pages is None else f"{pages:,}"
    return DocumentTooLarge(f"The document has {has} pages, at most {MAX_PAGES} are read: split it.")


def _opened(data: bytes) -> ImageFile.ImageFile:
    picture = Image.open(io.BytesIO(data), formats=_FORMATS)
    _check_size(picture.size)
    return picture


def _check_size(size: tuple[int, int]) -> None:
    pixels = size[0] * size[1]
    if pixels > MAX_MEGAPIXELS * _MEGA:
        raise DocumentTooLarge(
            f"A page has {pixels / _MEGA:.1f} megapixels, at most {MAX_MEGAPIXELS} are read: scale it down."
        )


@contextmanager
def _refusing() -> Iterator[None]:
    """Inside, whatever a decoder raises on the bytes comes out as DamagedDocument."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # remarks on metadata, and sizes, which are checked here
            yield
    except (UnreadableDocument, MemoryError):
        raise  # a worker short of memory says nothing about the picture
    except Image.DecompressionBombError as error:
        raise DocumentTooLarge(f"A page has more than {MAX_MEGAPIXELS} megapixels: scale it down.") from error
    except Exception as error:  # decoders raise anything on hostile bytes, up to SyntaxError
        raise DamagedDocument("The picture is truncated or damaged: export it again and resend it.") from error
