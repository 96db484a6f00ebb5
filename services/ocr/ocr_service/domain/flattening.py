"""A sheet seen at an angle, as if it had been seen from straight above. Where it lies in the picture is told here."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ocr_service.domain.outline import Outline, Point

#: Share of the sheet that is left out at each side: the shadow of its edge is no writing.
_RIM = 0.004


def flat_size(sheet: Outline) -> tuple[float, float]:
    """Width and height of the sheet in pixels: of opposite sides the longer, so that no writing becomes smaller."""
    width = max(math.dist(sheet.top_left, sheet.top_right), math.dist(sheet.bottom_left, sheet.bottom_right))
    height = max(math.dist(sheet.top_left, sheet.bottom_left), math.dist(sheet.top_right, sheet.bottom_right))
    return width, height


def flattened(picture: Image.Image, sheet: Outline, factor: float) -> Image.Image:
    """The grey sheet as a rectangle, `factor` times as large as in the picture.

    Enlarged in the same step, since each resampling blurs small writing.
    """
    width, height = flat_size(sheet)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    seen = _projection(size, sheet)
    return picture.transform(size, Image.Transform.PERSPECTIVE, seen, Image.Resampling.BICUBIC)


def _projection(size: tuple[int, int], sheet: Outline) -> tuple[float, ...]:
    """The eight numbers by which PIL finds the picture's point for a point of the flat sheet."""
    near, far = _RIM, 1 - _RIM
    corners: list[Point] = [(0, 0), (size[0], 0), (size[0], size[1]), (0, size[1])]
    rows, values = [], []
    places = [(near, near), (far, near), (far, far), (near, far)]
    for (x, y), (u, v) in zip(corners, (_within(sheet, *place) for place in places), strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    solved: NDArray[np.float64] = np.linalg.solve(np.array(rows), np.array(values))
    return tuple(float(number) for number in solved)


def _within(sheet: Outline, across: float, down: float) -> Point:
    """A point of the sheet by its shares of the way across and down; exact enough close to a corner."""
    top, bottom = (
        _between(sheet.top_left, sheet.top_right, across),
        _between(sheet.bottom_left, sheet.bottom_right, across),
    )
    return _between(top, bottom, down)


def _between(one: Point, other: Point, share: float) -> Point:
    return one[0] + share * (other[0] - one[0]), one[1] + share * (other[1] - one[1])
