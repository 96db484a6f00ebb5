"""Light on a page: how evenly it falls, and the page as if it fell evenly. Writing is not looked at."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from ocr_service.domain.tilt import background_of

#: Paper that is so many times brighter in one place than in another is lit unevenly: Tesseract, which parts ink from
#: paper by one grey for the whole page, then leaves out paragraphs without being less sure of the others.
_UNEVEN = 1.15
#: Along the longer side; each is as bright as its brightest point, which is paper.
_SQUARES = 60
#: Rows worked on at a time, so that a large page needs no second and third of its kind in memory.
_BAND = 256


def is_uneven(page: Image.Image) -> bool:
    """Whether the paper of a grey page is darker in some places than in others."""
    side = max(4, max(page.size) // _SQUARES)
    grey = np.asarray(page)
    rows, columns = grey.shape[0] // side, grey.shape[1] // side
    squares = grey[: rows * side, : columns * side].reshape(rows, side, columns, side)
    low, high = np.quantile(squares.max(axis=(1, 3)), (0.05, 0.95)) if rows and columns else (1.0, 1.0)
    return bool(high > _UNEVEN * max(low, 1.0))


def without_shadows(page: Image.Image) -> Image.Image:
    """Every place in proportion to the paper around it, and the whole stretched from black to white."""
    paper, grey = np.asarray(background_of(page)), np.asarray(page)
    even: NDArray[np.uint8] = np.empty_like(grey)
    for top in range(0, grey.shape[0], _BAND):
        band = slice(top, top + _BAND)
        share = grey[band] / np.maximum(paper[band], 1).astype(np.float32)
        even[band] = np.minimum(share, 1.0) * 255
    return ImageOps.autocontrast(Image.fromarray(even), cutoff=(0.5, 0))
