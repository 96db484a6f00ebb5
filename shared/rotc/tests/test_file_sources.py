"""Every form in which a file may be sent, and what is said of anything else."""

from __future__ import annotations

import base64
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rotc.sources import UnusableSource, from_base64, load

DATA = bytes(range(256))
TEXT = base64.b64encode(DATA).decode()


class Web:
    """Stands where the fetcher stands, and remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []

    async def fetch(self, url: str, *, max_bytes: int) -> bytes:
        self.asked.append((url, max_bytes))
        return DATA


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        TEXT.rstrip("="),
        base64.urlsafe_b64encode(DATA).decode(),
        base64.encodebytes(DATA).decode(),
        f"data:image/png;base64,{TEXT}",
        f"DATA:;base64,{TEXT}",
        f"data:image/png;name=a.png;base64,{quote(TEXT, safe='')}",
        f"data:application/octet-stream,{quote(DATA)}",
    ],
)
async def test_the_same_bytes_in_every_form(text: str) -> None:
    assert await load(text, Web(), max_bytes=1000) == DATA


@pytest.mark.parametrize("url", ["https://files.example.org/a.jpg", "HTTPS://files.example.org/a.jpg", "http://x/"])
async def test_a_url_is_left_to_the_fetcher_with_its_limit(url: str) -> None:
    web = Web()

    assert await load(url, web, max_bytes=1000) == DATA
    assert web.asked == [(url, 1000)]


@pytest.mark.parametrize(
    "text",
    ["/media/photo.jpg", "file:///etc/passwd", "ftp://x/y", "photo.jpg", "aGVsbG8!", "a", "data:image/png;base64,%%%"],
)
async def test_anything_else_is_refused_with_one_sentence(text: str) -> None:
    with pytest.raises(UnusableSource) as caught:
        await load(text, Web(), max_bytes=1000)

    assert str(caught.value) == "The file is neither base64 text, nor a data: URL, nor an https: URL."


async def test_a_data_url_without_content_is_refused() -> None:
    with pytest.raises(UnusableSource, match="no comma"):
        await load("data:image/png;base64", Web(), max_bytes=1000)


async def test_more_bytes_than_allowed_are_refused() -> None:
    with pytest.raises(UnusableSource, match=r"The file has 11\.0 MB, at most 10 MB are accepted\."):
        await load(base64.b64encode(bytes(11 << 20)).decode(), Web(), max_bytes=10 << 20)


@settings(deadline=None)
@given(st.binary())
def test_base64_comes_back_as_it_was(data: bytes) -> None:
    assert from_base64(base64.b64encode(data).decode()) == data


@settings(deadline=None)
@given(st.text())
def test_any_text_is_decoded_or_refused(text: str) -> None:
    try:
        assert isinstance(from_base64(text), bytes)
    except UnusableSource as error:
        refusal = str(error)
        assert refusal
