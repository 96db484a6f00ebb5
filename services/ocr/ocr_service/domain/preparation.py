"""Pictures made readable: straightened, enlarged, freed of shadows and specks. What they say is not read here."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageChops, ImageFilter, ImageOps

from ocr_service.domain.tilt import Tilt, background_of, ink_of

#: Lines lower than this (pixels from the top of a `d` to the foot of a `p`) are enlarged ...
SMALL_LINE = 22.0
#: ... to about this, which is what Tesseract's network was trained on.
GOOD_LINE = 32.0
LARGEST_FACTOR = 4.0
#: A page is not enlarged beyond this many pixels.
MAX_PIXELS = 40_000_000
_LEVEL = 0.2


def straighten(page: Image.Image, tilt: Tilt) -> Image.Image:
    """The grey page with its lines horizontal, on its own paper colour; possibly upside down."""
    if tilt.sideways:
        page = page.transpose(Image.Transpose.ROTATE_90)
    if abs(tilt.degrees) < _LEVEL:
        return page
    paper = int(np.quantile(np.asarray(page.reduce(4)), 0.9))
    return page.rotate(tilt.degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=paper)


def upside_down(page: Image.Image) -> Image.Image:
    """The page turned by 180 degrees."""
    return page.transpose(Image.Transpose.ROTATE_180)


def enlarge(page: Image.Image) -> Image.Image:
    """The straight page with its lines at least `SMALL_LINE` high, as far as they can be told apart."""
    height = line_height(page)
    if not 0 < height < SMALL_LINE:
        return page
    room = (MAX_PIXELS / (page.width * page.height)) ** 0.5
    factor = min(GOOD_LINE / height, LARGEST_FACTOR, room)
    if factor <= 1.0:
        return page
    return page.resize((round(page.width * factor), round(page.height * factor)), Image.Resampling.LANCZOS)


def line_height(page: Image.Image) -> float:
    """Median height of the lines of a straight page, pixels; 0.0 where there are none."""
    rows = ink_of(page).sum(axis=1)
    if not rows.any():
        return 0.0
    # A line's rows hold at least a little of what its fullest rows hold: specks between lines do not join them.
    inside = rows > 0.05 * np.quantile(rows[rows > 0], 0.9)
    edges = np.flatnonzero(np.diff(np.concatenate(([False], inside, [False])).astype(np.int8)))
    heights = edges[1::2] - edges[::2]
    lines = heights[heights >= max(3, heights.max() / 6)]
    return float(np.median(lines))


def preparations(page: Image.Image) -> Iterator[Image.Image]:
    """The page as it is, then, for when that could not be read well, without shadows, and also without specks."""
    yield page
    even = _without_shadows(page)
    yield even
    yield even.filter(ImageFilter.MedianFilter(3))


def _without_shadows(page: Image.Image) -> Image.Image:
    """Every place in proportion to the paper around it, and the whole stretched from black to white."""
    paper = np.asarray(background_of(page), dtype=np.float32)
    grey = np.asarray(page, dtype=np.float32)
    even = np.clip(grey / np.maximum(paper, 1.0), 0.0, 1.0) * 255
    return ImageOps.autocontrast(Image.fromarray(even.astype(np.uint8)), cutoff=(0.5, 0))


def grey_on_white(picture: Image.Image) -> Image.Image:
    """Any picture as a grey page (mode L): transparency on white, 16 bits scaled, white writing on black inverted."""
    if picture.mode in ("I;16", "I;16B", "I;16L", "I", "F"):
        values = np.asarray(picture, dtype=np.float32)
        top = max(float(values.max()), 255.0)
        picture = Image.fromarray((values * (255.0 / top)).clip(0, 255).astype(np.uint8))
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    page = picture.convert("L")
    dark = float(np.median(np.asarray(page.reduce(max(1, max(page.size) // 500))))) < 90
    return ImageChops.invert(page) if dark else page
