"""The demo's photos are what they say they are, and the demo's own judgement finds what is wrong with a picture."""

import io
from typing import Any

import pytest
from muster_local.main_job import fault_of
from muster_local.photos import KINDS, Photo, draw_photos
from muster_local.tracked import Upload
from PIL import Image, ImageOps

PHOTOS = {photo.kind: photo for photo in draw_photos(seed=1)}


def opened(kind: str) -> Image.Image:
    return Image.open(io.BytesIO(PHOTOS[kind].data))


@pytest.mark.parametrize("kind", KINDS)
def test_a_photo_has_the_upright_size_it_claims(kind: str) -> None:
    with opened(kind) as picture:
        assert ImageOps.exif_transpose(picture).size == PHOTOS[kind].upright


@pytest.mark.parametrize(
    ("kind", "file_format", "mode"),
    [
        ("JPEG, CMYK", "JPEG", "CMYK"),
        ("JPEG, greyscale", "JPEG", "L"),
        ("PNG, 16 bit", "PNG", "I;16"),
        ("PNG, transparent", "PNG", "RGBA"),
        ("PNG, palette", "PNG", "P"),
        ("WebP", "WEBP", "RGB"),
    ],
)
def test_a_photo_is_of_the_kind_it_is_named_after(kind: str, file_format: str, mode: str) -> None:
    with opened(kind) as picture:
        assert (picture.format, picture.mode) == (file_format, mode)


def test_the_animation_moves_and_the_phone_tells_its_position() -> None:
    with opened("GIF, animated") as animation:
        assert getattr(animation, "n_frames", 1) == 6
    with opened("JPEG with GPS position") as photo:
        assert photo.getexif().get_ifd(0x8825)[1] == "N"


def test_the_same_seed_draws_the_same_photos_and_another_seed_others() -> None:
    kinds = ("PNG, tiny icon", "GIF, animated")
    again = {photo.kind: photo for photo in draw_photos(seed=1)}
    assert [again[kind].data for kind in kinds] == [PHOTOS[kind].data for kind in kinds]
    assert draw_photos(seed=2)[9].data != PHOTOS["PNG, tiny icon"].data


def jpeg(size: tuple[int, int], mode: str = "RGB", **options: Any) -> bytes:
    target = io.BytesIO()
    Image.new(mode, size).save(target, "JPEG", **options)
    return target.getvalue()


def position() -> Image.Exif:
    exif = Image.Exif()
    exif[0x8825] = {1: "N", 2: (14.0, 34.0, 57.0)}
    return exif


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (jpeg((400, 300)), ""),  # smaller, of the same shape
        (jpeg((300, 400)), "not upright"),
        (jpeg((400, 200)), "stretched"),
        (jpeg((400, 300), "CMYK"), "CMYK"),
        (jpeg((400, 300), exif=position()), "where it was taken"),
        (jpeg((400, 300))[:200], "does not decode"),
        (b"", "does not decode"),
    ],
)
def test_a_delivered_picture_is_judged(data: bytes, fault: str) -> None:
    found = fault_of(data, Upload(Photo("any", b"", (800, 600)), cadet_id=1))
    assert fault in found
    assert bool(found) == bool(fault)


@pytest.mark.parametrize(
    ("status", "share", "over", "error"),
    [
        ({}, 0.0, False, ""),
        ({"status": "PENDING", "progress": None}, 0.0, False, ""),
        ({"status": "PROGRESS", "progress": {"done": 1, "total": 4}}, 0.25, False, ""),
        ({"status": "SUCCESS", "result": {}}, 1.0, True, ""),
        ({"status": "FAILURE", "error": {"message": "not a picture"}}, 1.0, True, "not a picture"),
        ({"status": "FAILURE", "error": "not a picture"}, 1.0, True, "not a picture"),
    ],
)
def test_a_status_answer_is_read(status: dict[str, Any], share: float, over: bool, error: str) -> None:
    upload = Upload(Photo("any", b"", (1, 1)), cadet_id=1, status=status)
    assert (upload.share, upload.over, upload.error) == (share, over, error)
