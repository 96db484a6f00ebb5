"""What happens to a letter on its way: turned, askew, noisy, blurred, pale, photographed. Every run alike."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFilter


def turned(page: Image.Image, degrees: int) -> Image.Image:
    """Counter-clockwise by a multiple of 90."""
    return page.rotate(degrees, expand=True)


def askew(page: Image.Image, degrees: float) -> Image.Image:
    """Counter-clockwise by a few degrees, on paper."""
    return page.rotate(degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=255)


def noisy(page: Image.Image, strength: float = 25, seed: int = 1) -> Image.Image:
    """With the grain of a poor camera; `strength` in steps of grey."""
    grain = np.random.default_rng(seed).normal(0, strength, (page.height, page.width))
    return Image.fromarray((np.asarray(page, dtype=float) + grain).clip(0, 255).astype(np.uint8))


def blurred(page: Image.Image, radius: float) -> Image.Image:
    """Out of focus, radius in pixels."""
    return page.filter(ImageFilter.GaussianBlur(radius))


def pale(page: Image.Image) -> Image.Image:
    """Grey on grey, a fifth of the contrast."""
    return noisy(page.point([int(120 + 50 * value / 255) for value in range(256)]), 4)


def photographed(page: Image.Image, seed: int = 1) -> Image.Image:
    """Lying on a dark table, seen from below its foot, lit from one side."""
    width, height = int(page.width * 1.25), int(page.height * 1.2)
    corners = [(width * x, height * y) for x, y in ((0.12, 0.07), (0.90, 0.10), (0.95, 0.94), (0.05, 0.92))]
    view = page.transform(
        (width, height),
        Image.Transform.PERSPECTIVE,
        _perspective(page, corners),
        Image.Resampling.BICUBIC,
        fillcolor=90,
    )
    down, across = np.mgrid[0:height, 0:width]
    light = 0.55 + 0.27 * (across / width) + 0.25 * (1 - down / height)
    lit = np.asarray(view, dtype=float) * light
    lit += np.random.default_rng(seed).normal(0, 4, lit.shape)
    return Image.fromarray(lit.clip(0, 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(0.6))


def _perspective(page: Image.Image, corners: list[tuple[float, float]]) -> tuple[float, ...]:
    """The eight numbers by which PIL finds the page's point for a point of the photograph."""
    points = [(0, 0), (page.width, 0), (page.width, page.height), (0, page.height)]
    rows, values = [], []
    for (x, y), (u, v) in zip(corners, points, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    return tuple(float(number) for number in np.linalg.solve(np.array(rows), np.array(values)))
