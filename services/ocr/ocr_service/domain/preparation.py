"""Pictures made readable: grey, dark on bright, straightened, enlarged. What they say is not read here."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageChops, ImageFilter

from ocr_service.domain.tilt import Tilt

#: Lines lower than this (pixels from the top of a `d` to the foot of a `p`) are enlarged ...
SMALL_LINE = 13.0
#: ... to about this, which is what Tesseract's network was trained on.
GOOD_LINE = 20.0
LARGEST_FACTOR = 4.0
#: A page is not enlarged beyond this many pixels.
MAX_PIXELS = 24_000_000
#: A page with more is halved: a phone that takes so many shows writing far larger than needed.
MANY_PIXELS = 24_000_000
_LEVEL = 0.2
#: Median grey of a page below which it is taken for white writing on black.
_DARK_PAPER = 90

Size = tuple[int, int]


def straighten(page: Image.Image, tilt: Tilt) -> Image.Image:
    """The grey page with its lines horizontal and large enough to be read, possibly upside down.

    Turned and enlarged in one step, since each resampling blurs small writing.
    """
    if tilt.sideways:
        page = page.transpose(Image.Transpose.ROTATE_90)
    if abs(tilt.degrees) < _LEVEL:
        factor = enlargement(page.size, tilt.line_height)
        if factor == 1.0:
            return page
        return page.resize((round(page.width * factor), round(page.height * factor)), Image.Resampling.BICUBIC)
    paper = int(np.quantile(np.asarray(page.reduce(4)), 0.9))
    angle = math.radians(abs(tilt.degrees))
    width = page.width * math.cos(angle) + page.height * math.sin(angle)
    height = page.height * math.cos(angle) + page.width * math.sin(angle)
    factor = enlargement((round(width), round(height)), tilt.line_height)
    size = (math.ceil(width * factor), math.ceil(height * factor))
    return page.transform(
        size, Image.Transform.AFFINE, _back(page.size, size, tilt, factor), Image.Resampling.BICUBIC, fillcolor=paper
    )


def _back(source: Size, target: Size, tilt: Tilt, factor: float) -> tuple[float, float, float, float, float, float]:
    """Six numbers that lead from a point of the turned and enlarged page to the one it came from."""
    angle = math.radians(tilt.degrees)
    across, down = math.cos(angle) / factor, math.sin(angle) / factor
    x, y = target[0] / 2, target[1] / 2
    return (
        across, -down, source[0] / 2 - across * x + down * y,
        down, across, source[1] / 2 - down * x - across * y,
    )  # fmt: skip


def upside_down(page: Image.Image) -> Image.Image:
    """The page turned by 180 degrees."""
    return page.transpose(Image.Transpose.ROTATE_180)


def enlargement(size: Size, height: float) -> float:
    """How much larger a page with lines of this height should be; 1.0 when that would not help."""
    if not 0 < height < SMALL_LINE:
        return 1.0
    room = math.sqrt(MAX_PIXELS / (size[0] * size[1]))
    return max(1.0, min(GOOD_LINE / height, LARGEST_FACTOR, room))


def without_specks(page: Image.Image) -> Image.Image:
    """Single points go; strokes stay."""
    return page.filter(ImageFilter.MedianFilter(3))


def grey(picture: Image.Image) -> Image.Image:
    """Any picture in grey (mode L): transparency on white, 16 bits scaled, halved where it has more than enough."""
    if picture.mode in ("I;16", "I;16B", "I;16L", "I", "F"):
        values = np.asarray(picture, dtype=np.float32)
        top = max(float(values.max()), 255.0)
        picture = Image.fromarray((values * (255.0 / top)).clip(0, 255).astype(np.uint8))
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    page = picture.convert("L")
    return page.reduce(2) if page.width * page.height > MANY_PIXELS else page


def dark_on_bright(page: Image.Image) -> Image.Image:
    """A grey page with bright writing on dark inverted, any other as it is."""
    dark = float(np.median(np.asarray(page.reduce(max(1, max(page.size) // 500))))) < _DARK_PAPER
    return ImageChops.invert(page) if dark else page
