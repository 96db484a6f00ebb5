"""How large a compressed picture is, in pixels and in bytes."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from media_service.domain import compression
from media_service.domain.compression import MAX_ENCODES, CompressionOptions, compress_image, fit
from PIL import Image


@given(st.tuples(st.integers(1, 60000), st.integers(1, 60000)), st.tuples(st.integers(1, 10000), st.integers(1, 10000)))
def test_a_picture_fits_its_box_and_keeps_its_shape(size: tuple[int, int], box: tuple[int, int]) -> None:
    width, height = fit(size, box)

    assert 1 <= width <= min(size[0], box[0])
    assert 1 <= height <= min(size[1], box[1])
    # One pixel of rounding on either side of the exact shape.
    assert (width - 1) * size[1] <= (height + 1) * size[0]
    assert (height - 1) * size[0] <= (width + 1) * size[1]


def noisy() -> bytes:
    output = io.BytesIO()
    Image.effect_noise((640, 480), 80).convert("RGB").save(output, "JPEG", quality=95)
    return output.getvalue()


@pytest.mark.parametrize("target", [110_000, 140_000, 200_000])
def test_a_target_lowers_the_quality_until_it_fits(target: int) -> None:
    photo = noisy()
    plain = compress_image(photo, CompressionOptions(quality=95))

    result = compress_image(photo, CompressionOptions(quality=95, target_bytes=target))

    assert len(result.data) <= target < len(plain.data)
    assert 40 <= result.quality < plain.quality
    one_too_many = compress_image(photo, CompressionOptions(quality=min(95, result.quality + 8)))
    assert len(one_too_many.data) > target, "the search gave quality away"


def test_a_target_out_of_reach_gives_the_lowest_quality() -> None:
    assert compress_image(noisy(), CompressionOptions(target_bytes=1024)).quality == 40


def test_a_target_already_met_costs_no_quality() -> None:
    assert compress_image(noisy(), CompressionOptions(quality=70, target_bytes=10_000_000)).quality == 70


def test_the_search_costs_at_most_six_encodes(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []
    encode = compression._encode

    def counting(picture: Image.Image, quality: int) -> bytes:
        tried.append(quality)
        return encode(picture, quality)

    monkeypatch.setattr(compression, "_encode", counting)

    compress_image(noisy(), CompressionOptions(quality=100, target_bytes=150_000))

    assert 2 < len(tried) <= MAX_ENCODES == 6
