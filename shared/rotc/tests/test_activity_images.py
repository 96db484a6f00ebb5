"""The JSON list of an activity's pictures: nothing lost, nothing twice, nothing guessed."""

import pytest
from rotc import images
from rotc.errors import DamagedImages

V1 = "https://res.cloudinary.com/unit/image/upload/v1/rotc/a.jpg"
V2 = "https://res.cloudinary.com/unit/image/upload/v2/rotc/a.jpg"
OTHER = "https://res.cloudinary.com/unit/image/upload/v1/rotc/a2.jpg"


@pytest.mark.parametrize("text", [None, "", "  ", "[]"])
def test_nothing_stored_is_an_empty_list(text: str | None) -> None:
    assert images.parse(text, 1) == []


@pytest.mark.parametrize("text", ["/uploads/a.jpg", '{"url": "a"}', "[1]", '["a", null]', '"a"', '["a"'])
def test_anything_but_a_list_of_texts_is_left_for_a_person_to_repair(text: str) -> None:
    with pytest.raises(DamagedImages, match=r"activities\.images of activity 4 is not a JSON array of URLs"):
        images.parse(text, 4)


def test_a_picture_is_in_the_list_once() -> None:
    assert images.with_url([], V1) == [V1]
    assert images.with_url([OTHER, V1], V1) == [OTHER, V1]
    assert images.with_url([V1, OTHER], V2) == [V2, OTHER]  # a newer version takes the place of the older one
    assert images.with_url([V1, OTHER, V2], V2) == [V2, OTHER]


def test_a_file_is_taken_out_in_all_its_versions() -> None:
    assert images.without_file([V1, OTHER, V2, "/old.jpg"], "rotc/a") == [OTHER, "/old.jpg"]
