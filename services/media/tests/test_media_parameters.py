"""Wrong parameters are refused before anything is done, and every bad field is named."""

from __future__ import annotations

from typing import Any

import pytest
from media_service.params import BatchImages, CompressImage, DeleteImage
from muster.worker.files import FileReference
from pydantic import BaseModel, ValidationError

GOOD: dict[str, Any] = {"image_data": "aGVsbG8=", "entity_type": "profile_pic", "entity_id": 12}


def problems(model: type[BaseModel], parameters: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(parameters)
    assert "aGVsbG8" not in str(caught.value), "an error must not repeat a cadet's picture"
    return {".".join(map(str, item["loc"])): item["msg"] for item in caught.value.errors()}


def test_the_defaults_are_those_of_the_reference_document() -> None:
    params = CompressImage.model_validate(GOOD)

    assert (params.max_size, params.quality, params.target_bytes) == ((1920, 1080), 85, None)
    assert "aGVsbG8" not in repr(params)


def test_json_lists_are_taken_for_the_size() -> None:
    assert CompressImage.model_validate(GOOD | {"max_size": [640, 480]}).options.max_size == (640, 480)


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("image_data", [None, 5, b"bytes", "", ["aGVsbG8="]]),
        ("entity_type", [None, "cadet", "", 1, "PROFILE_PIC"]),
        ("entity_id", [None, 0, -1, 2**31, "12", 1.5, True]),
        ("max_size", [None, [], [1920], [1, 2, 3], [0, 1], [1, 10_001], ["a", 1], "1920x1080", [1.5, 2]]),
        ("quality", [None, 0, 101, "85", 85.5, True]),
        ("target_bytes", [1023, "2048", 0.5, -1]),
    ],
)
def test_a_value_outside_its_range_is_refused_by_name(field: str, values: list[object]) -> None:
    for value in values:
        found = problems(CompressImage, GOOD | {field: value})
        assert {name.split(".")[0] for name in found} == {field}, value


def test_every_bad_field_is_named_at_once() -> None:
    found = problems(CompressImage, {"image": "aGVsbG8=", "entity_type": "cat", "entity_id": 0, "quality": 200})

    assert set(found) == {"image_data", "image", "entity_type", "entity_id", "quality"}
    assert found["entity_type"] == "Input should be 'profile_pic', 'activity_image' or 'excuse_letter'"


def test_a_picture_may_lie_in_the_store() -> None:
    ref = f"2026-11-30/task-1/{'a' * 64}"

    params = CompressImage.model_validate(GOOD | {"image_data": {"ref": ref, "size": 5, "type": "image/jpeg"}})

    assert isinstance(params.image_data, FileReference)
    assert (params.image_data.ref, params.image_data.size) == (ref, 5)


@pytest.mark.parametrize(
    "reference",
    [
        {},
        {"ref": "abc", "size": 5},
        {"ref": "2026-11-30/../etc/passwd", "size": 1},
        {"ref": 5, "size": 5},
        {"url": "x"},
    ],
)
def test_a_reference_that_is_none_is_refused_by_name(reference: object) -> None:
    found = problems(CompressImage, GOOD | {"image_data": reference})

    assert {name.split(".")[:2][1] for name in found} == {"reference"}


@pytest.mark.parametrize("images", [[], [GOOD] * 101, None, "none", GOOD])
def test_a_batch_has_1_to_100_pictures(images: object) -> None:
    assert set(problems(BatchImages, {"image_list": images})) == {"image_list"}


def test_a_bad_picture_of_a_batch_is_named_by_its_place() -> None:
    found = problems(BatchImages, {"image_list": [GOOD, GOOD | {"entity_id": "x"}, GOOD | {"quality": 50}]})

    assert set(found) == {"image_list.1.entity_id", "image_list.2.quality"}


@pytest.mark.parametrize(
    "public_id", ["rotc/profile_pic/profile_pic_1", "rotc/excuse_letter/excuse_letter_1.pdf", "rotc/profiles/cadet_7"]
)
def test_a_file_below_our_folder_may_be_deleted(public_id: str) -> None:
    assert DeleteImage(public_id=public_id).public_id == public_id


@pytest.mark.parametrize(
    "public_id",
    [
        *("", "rotc", "rotc/", "/rotc/a", "other/a", "ROTC/a", "xrotc/a", "rotc/a/"),
        *("rotc//a", "rotc/../a", "rotc/..", "rotc/.a", "rotc/a/../../b", "rotc/a\n", "rotc/a b", "rotc/%2e%2e/a"),
        *("rotc/a?b", "rotc/" + "a" * 255, "rotc\\a"),
    ],
)
def test_nothing_else_may_be_deleted(public_id: str) -> None:
    assert set(problems(DeleteImage, {"public_id": public_id})) == {"public_id"}
