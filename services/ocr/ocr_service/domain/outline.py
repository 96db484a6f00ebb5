"""The four corners of a sheet that lies on something darker. What is on the sheet is not looked at.

The sheet is the bright part of the picture, without its writing; each of its sides is a straight line through where
the bright runs of rows or columns begin or end. What is no clear quadrilateral is no sheet.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

#: Pixels of the longer side of the picture that is searched; the lines are exact to a fraction of such a pixel.
SEARCH_SIDE = 256
#: What lies around the sheet is at most so bright, compared with the sheet.
_DARKER = 0.7
#: Share of the picture's edge that may be bright: of a page that fills its picture it is nearly all.
_BRIGHT_EDGE = 0.5
#: How well the four lines and the bright part must agree (intersection over union).
_AGREEMENT = 0.93
#: Less of the picture than this is no sheet, but something lying there.
_SMALLEST = 0.15
#: Rows and columns with a shorter bright run than this share say nothing of the sides.
_SHORT_RUN = 0.2
_FEWEST = 20
#: Distance in search pixels within which a point belongs to its line, narrowed step by step.
_TOLERANCES = (4.0, 2.0, 1.2, 1.2)

Mask = NDArray[np.bool_]
Places = NDArray[np.intp]
Point = tuple[float, float]


class Outline(NamedTuple):
    """Corners of a sheet in pixels of the picture; "top" is where the picture's top is, whatever the writing says."""

    top_left: Point
    top_right: Point
    bottom_right: Point
    bottom_left: Point


class _Line(NamedTuple):
    slope: float
    start: float


class _Runs(NamedTuple):
    """The longest bright run of each row: its first place and the one after its last; where it is long enough."""

    at: Places
    first: Places
    end: Places


def find_outline(page: Image.Image) -> Outline | None:
    """The sheet in a grey picture (mode L); None when the picture is a page itself, or shows no clear sheet.

    Costs about 15 ms, and a few where the picture is a page itself.
    """
    factor = max(1, max(page.size) // SEARCH_SIDE)
    small = page.reduce(factor)
    if _reaches_edge(_bright(small)):
        return None
    # Bright wins, then dark: strokes thinner than this vanish, and the sides stay where they are.
    bright = _bright(small.filter(ImageFilter.MaxFilter(5)).filter(ImageFilter.MinFilter(5)))
    corners = _corners(bright)
    if corners is None or not _agree(corners, bright):
        return None
    return Outline(*((x * factor, y * factor) for x, y in corners))


def _bright(small: Image.Image) -> Mask:
    """Where a sheet may be: everywhere, when nothing is much darker."""
    threshold, dark, bright = _two_tones(small.histogram())
    grey = np.asarray(small)
    return grey > threshold if dark <= _DARKER * bright else np.ones_like(grey, dtype=np.bool_)


def _reaches_edge(bright: Mask) -> bool:
    edge = np.concatenate((bright[0], bright[-1], bright[:, 0], bright[:, -1]))
    return bool(edge.mean() > _BRIGHT_EDGE)


def _two_tones(histogram: list[int]) -> tuple[int, float, float]:
    """The grey that parts dark from bright best, and the mean of either (N. Otsu, 1979)."""
    counts = np.asarray(histogram, dtype=np.float64)
    below, sums = np.cumsum(counts), np.cumsum(counts * np.arange(len(counts)))
    above = below[-1] - below
    dark = sums / np.maximum(below, 1)
    bright = (sums[-1] - sums) / np.maximum(above, 1)
    best = int(np.argmax(below * above * np.square(bright - dark)))
    return best, float(dark[best]), float(bright[best])


def _corners(bright: Mask) -> tuple[Point, Point, Point, Point] | None:
    rows, columns = _runs(bright), _runs(np.ascontiguousarray(bright.T))
    if min(len(rows.at), len(columns.at)) < _FEWEST:
        return None
    left, right = _line(rows.at, rows.first), _line(rows.at, rows.end)
    top, bottom = _line(columns.at, columns.first), _line(columns.at, columns.end)
    if left is None or right is None or top is None or bottom is None:
        return None
    return _crossing(left, top), _crossing(right, top), _crossing(right, bottom), _crossing(left, bottom)


def _runs(mask: Mask) -> _Runs:
    places = np.arange(mask.shape[1])
    before = np.pad(mask, ((0, 0), (1, 0)))[:, :-1]
    starts = np.maximum.accumulate(np.where(mask & ~before, places, 0), axis=1)
    lengths = np.where(mask, places - starts + 1, 0)
    longest, last = lengths.max(axis=1), lengths.argmax(axis=1)
    at = np.flatnonzero(longest > _SHORT_RUN * mask.shape[1])
    return _Runs(at, (last - longest + 1)[at], (last + 1)[at])


def _line(at: Places, values: Places) -> _Line | None:
    """The line most of the points lie on; those of the neighbouring sides, at both ends, are left out step by step."""
    low, high = np.quantile(at, (0.2, 0.8))
    near = (at >= low) & (at <= high)
    slope = start = 0.0
    for tolerance in _TOLERANCES:
        if near.sum() < _FEWEST / 2:
            return None
        slope, start = (float(number) for number in np.polyfit(at[near], values[near], 1))
        near = np.abs(values - (slope * at + start)) <= tolerance
    return _Line(slope, start)


def _crossing(steep: _Line, level: _Line) -> Point:
    """Where x = steep(y) meets y = level(x); sides of one sheet are never parallel."""
    x = (steep.slope * level.start + steep.start) / (1 - steep.slope * level.slope)
    return x, level.slope * x + level.start


def _agree(corners: tuple[Point, Point, Point, Point], bright: Mask) -> bool:
    drawn = Image.new("1", (bright.shape[1], bright.shape[0]))
    ImageDraw.Draw(drawn).polygon(corners, fill=1)
    inside = np.asarray(drawn)
    common, either = int((inside & bright).sum()), int((inside | bright).sum())
    return common >= _AGREEMENT * either and inside.mean() >= _SMALLEST
