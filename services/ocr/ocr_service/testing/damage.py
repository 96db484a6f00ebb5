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


def pale(page: Image.Image, seed: int = 1) -> Image.Image:
    """Grey on grey, a fifth of the contrast."""
    return noisy(page.point([int(120 + 50 * value / 255) for value in range(256)]), 4, seed)


def photographed(page: Image.Image, seed: int = 1) -> Image.Image:
    """Lying askew on a dark table, seen from one side and lit from another; each seed is another photograph."""
    chance = np.random.default_rng(seed)
    width, height = int(page.width * 1.25), int(page.height * 1.2)
    view = page.transform(
        (width, height),
        Image.Transform.PERSPECTIVE,
        _perspective(page, _corners(chance, width, height)),
        Image.Resampling.BICUBIC,
        fillcolor=int(chance.uniform(60, 120)),
    )
    down, across = np.mgrid[0:height, 0:width]
    towards = chance.uniform(0, 2 * np.pi)
    light = 0.81 + 0.36 * ((across / width - 0.5) * np.cos(towards) + (down / height - 0.5) * np.sin(towards))
    lit = np.asarray(view, dtype=float) * light
    lit += chance.normal(0, 4, lit.shape)
    return Image.fromarray(lit.clip(0, 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(0.6))


def _corners(chance: np.random.Generator, width: int, height: int) -> list[tuple[float, float]]:
    """Where the page's corners are in a photograph: its far side is shorter, and no corner is quite in its place."""
    across, down = chance.uniform(-0.04, 0.04, 2)
    shares = np.array(
        [(0.09 + across, 0.08 + down), (0.91 - across, 0.08 - down), (0.91 + across, 0.92 + down),
         (0.09 - across, 0.92 - down)]
    ) + chance.uniform(-0.02, 0.02, (4, 2))  # fmt: skip
    return [(width * x, height * y) for x, y in shares.clip(0.02, 0.98)]


def _perspective(page: Image.Image, corners: list[tuple[float, float]]) -> tuple[float, ...]:
    """The eight numbers by which PIL finds the page's point for a point of the photograph."""
    points = [(0, 0), (page.width, 0), (page.width, page.height), (0, page.height)]
    rows, values = [], []
    for (x, y), (u, v) in zip(corners, points, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    return tuple(float(number) for number in np.linalg.solve(np.array(rows), np.array(values)))
