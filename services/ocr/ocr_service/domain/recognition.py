"""One page from its picture to the best reading of it. How the engine is called comes in from outside."""

from __future__ import annotations

from collections.abc import Callable

from PIL import Image

from ocr_service.domain.flattening import flattened
from ocr_service.domain.light import is_uneven, without_shadows
from ocr_service.domain.outline import find_outline
from ocr_service.domain.preparation import (
    dark_on_bright,
    enlargement,
    grey,
    straighten,
    upside_down,
    without_specks,
)
from ocr_service.domain.reading import GOOD, POOR, Reading, better
from ocr_service.domain.tilt import find_tilt

Engine = Callable[[Image.Image], Reading]


def recognise(picture: Image.Image, engine: Engine) -> Reading:
    """The best reading of a page, whichever way it lies; one pass of the engine when that reads well.

    Each further pass is made only while the best so far is not good: turned by 180 degrees, then without shadows (where
    light falls unevenly they are gone before the first pass), then without specks.
    """
    page = _facing(grey(picture))
    if page is None:
        return engine(grey(picture))  # an empty page is the same whatever is done to it
    uneven = is_uneven(page)
    page = without_shadows(page) if uneven else page
    best = engine(page)
    if best.confidence < POOR:
        turned = engine(upside_down(page))
        if better(best, turned) is turned:
            best, page = turned, upside_down(page)
    for prepare in (without_specks,) if uneven else (without_shadows, without_specks):
        if best.confidence >= GOOD:
            break
        page = prepare(page)
        best = better(best, engine(page))
    return best


def _facing(picture: Image.Image) -> Image.Image | None:
    """The page seen from straight above, its lines horizontal and large enough; None when it has none."""
    sheet = find_outline(picture)
    page = dark_on_bright(picture) if sheet is None else flattened(picture, sheet, 1.0)
    tilt = find_tilt(page)
    if not tilt.line_height:
        return None
    factor = enlargement(page.size, tilt.line_height)
    if sheet is not None and factor > 1.0:
        # From the picture itself once more: small writing that is resampled twice is blurred.
        page, tilt = flattened(picture, sheet, factor), tilt._replace(line_height=tilt.line_height * factor)
    return straighten(page, tilt)
