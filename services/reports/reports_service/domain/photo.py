"""Any picture to a small JPEG that can be put on a page; one that cannot be read becomes none. Nothing is fetched."""

from __future__ import annotations

import io
import warnings

from PIL import Image, ImageOps

_FORMATS = ("JPEG", "PNG", "WEBP", "GIF")
_MOST_PIXELS = 50_000_000
_SIDE = 600


def small_photo(data: bytes) -> bytes | None:
    """A JPEG of at most 600 pixels a side, upright, on white; None for what is no whole picture."""
    try:
        with warnings.catch_warnings(), Image.open(io.BytesIO(data), formats=_FORMATS) as picture:
            warnings.simplefilter("ignore")
            if picture.width * picture.height > _MOST_PIXELS:
                return None
            picture.thumbnail((_SIDE, _SIDE))
            upright = ImageOps.exif_transpose(picture).convert("RGBA")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None
    paper = Image.new("RGB", upright.size, "white")
    paper.paste(upright, mask=upright.getchannel("A"))
    file = io.BytesIO()
    paper.save(file, "JPEG", quality=85)
    return file.getvalue()
