"""A picture in, a small upright sRGB JPEG without metadata out. Knows no entity, no limit in bytes, no storage."""

from __future__ import annotations

import io
from dataclasses import dataclass

from PIL import Image

from media_service.domain.colour import on_white, to_plain_mode, to_srgb
from media_service.domain.decoding import Size, decode, open_picture, refusing, stored_box, upright_operation
from media_service.domain.filetypes import sniff

LOWEST_QUALITY = 40  # below this, letters in a photographed page can no longer be read
MAX_ENCODES = 6
_FINE_CHROMA_FROM = 90  # whoever asks for this quality wants the colours of small print kept too


@dataclass(frozen=True)
class CompressionOptions:
    """What the result must look like."""

    #: Width and height in pixels that the upright picture must fit; it is never enlarged.
    max_size: Size = (1920, 1080)
    #: JPEG quality 1-100; the highest one tried when target_bytes is set.
    quality: int = 85
    #: Lower the quality (not below 40) until the result is this small.
    target_bytes: int | None = None


@dataclass(frozen=True)
class CompressedImage:
    """A finished JPEG."""

    data: bytes
    width: int
    height: int
    #: The quality that was used in the end.
    quality: int
    original_bytes: int

    @property
    def saved_percent(self) -> float:
        """How much smaller than the original, in percent; negative when it grew (a tiny PNG may)."""
        return saved_percent(self.original_bytes, len(self.data))


def saved_percent(original_bytes: int, stored_bytes: int) -> float:
    """The part of the original that need not be stored, in percent with one decimal."""
    return round(100 * (1 - stored_bytes / original_bytes), 1)


def compress_image(data: bytes, options: CompressionOptions) -> CompressedImage:
    """Compress one picture; of an animation the first frame.

    Raises UnreadableImage with one sentence for anything that is not a whole picture of at most 50 megapixels.
    """
    file_type = sniff(data)
    with refusing(file_type.name if file_type else "unknown"):
        picture = _render(data, options.max_size)
    encoded, quality = _encode_within(picture, options)
    return CompressedImage(encoded, picture.width, picture.height, quality, len(data))


def fit(size: Size, box: Size) -> Size:
    """The largest size of the same shape inside the box; never larger than it was, never less than one pixel."""
    ratio = min(box[0] / size[0], box[1] / size[1], 1.0)
    return max(1, round(size[0] * ratio)), max(1, round(size[1] * ratio))


def _render(data: bytes, max_size: Size) -> Image.Image:
    image = open_picture(data)
    operation = upright_operation(image)
    size = fit(image.size, stored_box(max_size, operation))
    decode(image, size)
    profile = image.info.get("icc_profile")
    # Resize first: everything after it works on the few pixels that are kept.
    plain = to_plain_mode(image)
    small = plain if plain.size == size else plain.resize(size, Image.Resampling.LANCZOS)
    picture = to_srgb(on_white(small), profile if isinstance(profile, bytes) else None)
    return picture if operation is None else picture.transpose(operation)


def _encode_within(picture: Image.Image, options: CompressionOptions) -> tuple[bytes, int]:
    """The best quality that fits, found in at most six encodes; the lowest one when none does."""
    target, quality = options.target_bytes, options.quality
    best = _encode(picture, quality)
    if target is None or len(best) <= target or quality <= LOWEST_QUALITY:
        return best, quality
    best, low, high = _encode(picture, LOWEST_QUALITY), LOWEST_QUALITY, quality
    encodes = 2
    while len(best) <= target and high - low > 1 and encodes < MAX_ENCODES:
        middle = (low + high) // 2
        attempt = _encode(picture, middle)
        encodes += 1
        if len(attempt) <= target:
            best, low = attempt, middle
        else:
            high = middle
    return best, low


def _encode(picture: Image.Image, quality: int) -> bytes:
    # Pillow writes a comment it finds in `info` back into the file, asked or not.
    picture.info.clear()
    output = io.BytesIO()
    subsampling = "4:4:4" if quality >= _FINE_CHROMA_FROM else "4:2:0"
    picture.save(output, "JPEG", quality=quality, optimize=True, progressive=True, subsampling=subsampling)
    return output.getvalue()
