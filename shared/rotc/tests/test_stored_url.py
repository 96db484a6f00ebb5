"""Which file a stored URL points at: exact, whatever version or transformation it names."""

import pytest
from rotc.stored_url import plain_run, public_id_of, same_file

HOST = "https://res.cloudinary.com/unit"


@pytest.mark.parametrize(
    ("url", "public_id"),
    [
        (f"{HOST}/image/upload/v1700000000/rotc/profile_pic/profile_pic_7.jpg", "rotc/profile_pic/profile_pic_7"),
        (f"{HOST}/image/upload/rotc/profile_pic/profile_pic_7.jpg", "rotc/profile_pic/profile_pic_7"),
        (f"{HOST}/image/upload/c_fill,w_100/v12/rotc/a.png", "rotc/a"),
        (f"{HOST}/image/upload/s--Ab-1_cd2--/w_100/rotc/a.png?_a=X", "rotc/a"),
        (f"{HOST}/raw/upload/v1/rotc/excuse_letter/excuse_letter_3.pdf", "rotc/excuse_letter/excuse_letter_3.pdf"),
        (f"{HOST}/image/authenticated/v1/photo.v2.jpg", "photo.v2"),
        (f"{HOST}/image/upload/v1/Pe%C3%B1a%20flor.jpg", "Peña flor"),
        ("http://127.0.0.1:9999/unit/image/upload/v1/rotc/a.webp", "rotc/a"),
        (f"{HOST}/image/upload/v1", "v1"),  # a file called v1, not a version of nothing
        ("https://example.com/photos/7.jpg", None),
        ("/uploads/image/upload/7.jpg", None),
        ("data:image/png;base64,/image/upload/AAAA", None),
        ("https://[broken/image/upload/v1/a.jpg", None),
        ("", None),
    ],
)
def test_the_public_id_is_found_in_delivery_urls_and_nowhere_else(url: str, public_id: str | None) -> None:
    assert public_id_of(url) == public_id


def test_two_versions_are_the_same_file_and_two_unknown_urls_are_not() -> None:
    assert same_file(f"{HOST}/image/upload/v1/a.jpg", f"{HOST}/image/upload/v2/a.jpg")
    assert same_file("/old/path.jpg", "/old/path.jpg")
    assert not same_file("/old/path.jpg", "/old/other.jpg")


def test_the_plain_run_survives_every_encoding() -> None:
    assert plain_run("rotc/activity_image/activity_image_7_0123456789ab") == "activity_image_7_0123456789ab"
    assert plain_run("Peña flor") == "flor"
    assert plain_run("ñ") == ""
