"""From hostile bytes to a picture in memory, with its limits. Changes no colour but what decoding itself needs."""

from __future__ import annotations

import io
import re
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image, ImageFile

from media_service.domain.errors import UnreadableImage
from media_service.domain.filetypes import IMAGE_TYPES, FileType, sniff

MAX_MEGAPIXELS = 50
_MEGA = 1_000_000
_PLUGIN = {FileType.JPEG: "JPEG", FileType.PNG: "PNG", FileType.GIF: "GIF", FileType.WEBP: "WEBP"}
#: In these the metadata stands before the pixels; an MPO is a JPEG with further pictures behind it.
_METADATA_FIRST = frozenset({"JPEG", "MPO"})
_ORIENTATION = 0x0112
#: EXIF orientation -> the operation that sets the picture upright.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS = frozenset({5, 6, 7, 8})

Size = tuple[int, int]


@contextmanager
def refusing(name: str) -> Iterator[None]:
    """Inside, whatever a decoder raises on the bytes of a `name` picture comes out as UnreadableImage."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # remarks on metadata, which is thrown away
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    except (UnreadableImage, MemoryError):
        raise  # a worker short of memory says nothing about the picture
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        found = re.search(r"\((\d+) pixels\)", str(error))
        raise too_many_pixels(int(found[1]) if found else None) from error
    except Exception as error:  # decoders raise anything on hostile bytes, up to SyntaxError
        raise UnreadableImage(f"The {name} picture is truncated or damaged: export it again and resend it.") from error


def too_many_pixels(pixels: int | None) -> UnreadableImage:
    """The refusal of a picture with more pixels than are decoded here."""
    size = "too many" if pixels is None else f"{pixels / _MEGA:.1f}"
    return UnreadableImage(f"The picture has {size} megapixels, at most {MAX_MEGAPIXELS} are accepted: scale it down.")


def open_picture(data: bytes) -> ImageFile.ImageFile:
    """A picture of which only the header has been read; to be called inside `refusing`."""
    file_type = sniff(data)
    if file_type is None or file_type not in IMAGE_TYPES:
        raise UnreadableImage("The file is not a JPEG, PNG, GIF or WebP picture.")
    image = Image.open(io.BytesIO(data), formats=[_PLUGIN[file_type]])
    width, height = image.size
    if width * height > MAX_MEGAPIXELS * _MEGA:
        raise too_many_pixels(width * height)
    return image


def upright_operation(image: ImageFile.ImageFile) -> Image.Transpose | None:
    """What sets the picture upright by its EXIF (or XMP) orientation; broken metadata counts as none."""
    if image.format not in _METADATA_FIRST:
        image.load()  # here, where a failure is not taken for one of the metadata
    try:
        orientation = image.getexif().get(_ORIENTATION, 1)
    except (ValueError, TypeError, LookupError, SyntaxError, EOFError, OverflowError, struct.error):
        return None
    return _UPRIGHT.get(orientation) if isinstance(orientation, int) else None


def stored_box(box: Size, operation: Image.Transpose | None) -> Size:
    """The box (width, height) that an upright picture must fit, turned the way the picture is stored."""
    sideways = operation is not None and operation in {_UPRIGHT[number] for number in _SIDEWAYS}
    return (box[1], box[0]) if sideways else box


def decode(image: ImageFile.ImageFile, size: Size) -> None:
    """Read the pixels; a JPEG is shrunk by 2, 4 or 8 while decoding, never below `size`."""
    image.draft("RGB", size)
    image.load()
