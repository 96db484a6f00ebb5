"""Sample portraits: drawn, never photographed, and the same each time."""

from io import BytesIO

import pytest
from PIL import Image
from rotc.demo_photos import portrait, portrait_jpeg

SMALL = (300, 400)


def test_a_cadet_always_looks_the_same_and_unlike_the_next() -> None:
    assert portrait(1, 5, SMALL).tobytes() == portrait(1, 5, SMALL).tobytes()
    assert portrait(1, 5, SMALL).tobytes() != portrait(1, 6, SMALL).tobytes()
    assert portrait(1, 5, SMALL).tobytes() != portrait(2, 5, SMALL).tobytes()


def test_a_portrait_is_a_jpeg_of_the_size_asked_for() -> None:
    with Image.open(BytesIO(portrait_jpeg(1, 1))) as image:
        image.load()

        assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (1200, 1600))


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (64, 64), (900, 300)])
def test_any_size_can_be_drawn(size: tuple[int, int]) -> None:
    assert portrait(1, 1, size).size == size
