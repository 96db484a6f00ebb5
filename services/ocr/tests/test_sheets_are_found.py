"""A sheet on a table: its corners, the sheet as a rectangle, and the light on it; and pages that are no such sheet."""

from __future__ import annotations

import math

import numpy as np
import pytest
from ocr_service.domain.flattening import flattened
from ocr_service.domain.light import is_uneven, without_shadows
from ocr_service.domain.outline import Outline, Point, find_outline
from ocr_service.testing.damage import askew, noisy, pale, photographed
from ocr_service.testing.letters import TEXTS, draw
from PIL import Image, ImageDraw

LETTER = TEXTS[0]
TABLE, PAPER = 80, 240


def table_with(*corners: Point, size: tuple[int, int] = (1200, 1000)) -> Image.Image:
    picture = Image.new("L", size, TABLE)
    ImageDraw.Draw(picture).polygon(corners, fill=PAPER)
    return picture


@pytest.mark.parametrize(
    "corners",
    [
        [(100, 100), (1100, 100), (1100, 900), (100, 900)],
        [(220, 60), (960, 120), (1150, 930), (40, 880)],
        [(90, 300), (980, 90), (1120, 760), (260, 940)],
        [(400, 90), (760, 95), (770, 900), (380, 890)],
    ],
    ids=["straight", "from below", "askew", "narrow"],
)
def test_the_corners_of_a_sheet_are_found_to_a_few_pixels_whatever_is_written_on_it(corners: list[Point]) -> None:
    picture = table_with(*corners)
    pen = ImageDraw.Draw(picture)
    for line in range(400, 700, 20):
        pen.text((450, line), "A line of writing in the middle.", fill=20)

    found = find_outline(noisy(picture, 8))

    assert found is not None
    assert max(math.dist(one, other) for one, other in zip(found, corners, strict=True)) < 5


def test_a_page_that_fills_its_picture_is_no_sheet_on_a_table() -> None:
    letter = draw(LETTER, 16)

    for page in (letter, askew(letter, 5), noisy(letter), pale(letter), Image.new("L", (40, 30), 255)):
        assert find_outline(page) is None


@pytest.mark.parametrize(
    "picture",
    [
        table_with((600, 20), (1180, 900), (20, 900)),
        table_with((500, 400), (700, 400), (700, 600), (500, 600)),
        Image.new("L", (1200, 1000), TABLE),
        Image.new("L", (3, 2), 0),
    ],
    ids=["a triangle", "too small", "nothing but a table", "three pixels"],
)
def test_what_is_no_clear_sheet_is_left_as_it_is(picture: Image.Image) -> None:
    assert find_outline(picture) is None


def test_a_flattened_sheet_is_a_rectangle_of_nothing_but_paper() -> None:
    corners = Outline((220, 60), (960, 120), (1150, 930), (40, 880))

    flat = flattened(table_with(*corners), corners, 1.5)

    # Of the sides, the bottom (1111) and the left one (839) are the longer.
    assert flat.size == (1667, 1259)
    assert np.asarray(flat).min() > PAPER - 5


def test_light_from_one_side_is_noticed_and_taken_away() -> None:
    letter = draw(LETTER, 20)
    across = np.linspace(0.5, 1.0, letter.width)
    lit = Image.fromarray((np.asarray(letter) * across).astype(np.uint8))

    even = without_shadows(lit)

    assert [is_uneven(page) for page in (letter, pale(letter), noisy(letter), lit, even)] == [False] * 3 + [True, False]
    assert np.quantile(np.asarray(even), 0.2) > 240
    assert is_uneven(photographed(letter))
