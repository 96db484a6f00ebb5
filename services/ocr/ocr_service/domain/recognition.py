"""One page from its picture to the best reading of it. How the engine is called comes in from outside."""

from __future__ import annotations

from collections.abc import Callable

from PIL import Image

from ocr_service.domain.preparation import grey_on_white, preparations, straighten, upside_down
from ocr_service.domain.reading import GOOD, POOR, Reading, better
from ocr_service.domain.tilt import find_tilt

Engine = Callable[[Image.Image], Reading]


def recognise(picture: Image.Image, engine: Engine) -> Reading:
    """The best reading of a page, whichever way it lies; one pass of the engine when that reads well.

    Each further pass is made only while the best so far is not good: turned by 180 degrees, then without shadows, then
    without specks.
    """
    page = grey_on_white(picture)
    tilt = find_tilt(page)
    page = straighten(page, tilt)
    best = engine(page)
    if not tilt.line_height:
        return best  # an empty page is the same whatever is done to it
    if best.confidence < POOR:
        turned = engine(upside_down(page))
        if better(best, turned) is turned:
            best, page = turned, upside_down(page)
    for prepared in preparations(page):
        if best.confidence >= GOOD:
            break
        if prepared is not page:
            best = better(best, engine(prepared))
    return best
