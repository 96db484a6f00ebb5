"""Every bad document and every bad address ends with one clear error, final or tried again."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from muster.adapters.fetching import Fetcher, FetchFailed, FetchRefused, FetchRules
from ocr_service.domain.errors import (
    DamagedDocument,
    DocumentTooLarge,
    EmptyDocument,
    EncryptedDocument,
    UnreadableDocument,
    UnsupportedType,
)
from ocr_service.domain.pdf import MAX_PIXELS, page_text_or_picture
from ocr_service.domain.preparation import dark_on_bright, grey
from ocr_service.pages import count_pages, read_page
from ocr_service.tesseract import Tesseract
from ocr_service.testing.files import docx, encoded, scanned, typed_pdf, zipped
from ocr_service.testing.letters import draw
from PIL import Image

NO_TESSERACT = Tesseract("/nonexistent", "", frozenset({"eng"}), 1.0)
LOCKED_PDF = (
    typed_pdf(["secret"])
    .replace(b"/Root 1 0 R", b"/Root 1 0 R /Encrypt 99 0 R /ID [<00> <00>]")
    .replace(
        b"trailer",
        b"99 0 obj\n<< /Filter /Standard /V 1 /R 2 /P -4 /O <"
        + b"41" * 32
        + b"> /U <"
        + b"42" * 32
        + b"> >>\nendobj\ntrailer",
    )
)
DTD = '<!DOCTYPE d [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY c SYSTEM "file:///etc/passwd">]>'
W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


def wide_png() -> bytes:
    """100 megapixels in a few kilobytes."""
    return encoded(Image.new("1", (10_000, 10_000)))


def long_tiff() -> bytes:
    return scanned([Image.new("1", (8, 8))] * 51, "TIFF")


def lying_pdf() -> bytes:
    """A page of 10 by 10 metres, which at 300 dpi has 14 gigapixels."""
    return typed_pdf([""]).replace(b"[0 0 612 792]", b"[0 0 14400 14400]")


@pytest.mark.parametrize(
    ("data", "kind", "words"),
    [
        (b"", EmptyDocument, "The file is empty."),
        (b"plain text", UnsupportedType, "of no known type"),
        (b"\n<!DOCTYPE html><title>404</title>", UnsupportedType, "a web page, not to a document"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 512, UnsupportedType, "old .doc format"),
        (
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le"),
            EncryptedDocument,
            "without one",
        ),
        (b"%PDF-1.7 and nothing else", DamagedDocument, "The PDF is cut off or damaged"),
        (LOCKED_PDF, EncryptedDocument, "The PDF is protected by a password"),
        (typed_pdf([""] * 10_000), DocumentTooLarge, "10,000 pages, at most 50"),
        (long_tiff(), DocumentTooLarge, "more than 50 pages"),
        (wide_png(), DocumentTooLarge, "100.0 megapixels, at most 50"),
        (encoded(draw("cut", 24))[:200], DamagedDocument, "truncated or damaged"),
        (encoded(draw("cut", 24), "JPEG")[:400], DamagedDocument, "truncated or damaged"),
        (docx("x")[:-30], DamagedDocument, "The DOCX document is cut off"),
        (zipped({"word/document.xml": f"{DTD}<w:document {W}>&b;&c;</w:document>"}), DamagedDocument, "damaged"),
        (zipped({"word/document.xml": " " * (21 << 20)}), DocumentTooLarge, "unpacks to more than 20 MB"),
        (zipped({"other/word/document.xml": "x"}), DamagedDocument, "cut off or damaged"),
    ],
)
def test_a_bad_document_is_refused_with_one_sentence(data: bytes, kind: type[UnreadableDocument], words: str) -> None:
    with pytest.raises(kind) as caught:
        read_page(data, count_pages(data), NO_TESSERACT, "eng")

    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_page_of_metres_is_rendered_within_bounds_and_not_refused() -> None:
    page = page_text_or_picture(lying_pdf(), 1)

    assert isinstance(page, Image.Image)
    assert page.width * page.height <= MAX_PIXELS * 1.01


Answer = Callable[[BaseHTTPRequestHandler], None]
NO_HEADERS: Mapping[str, str] = {}


@pytest.fixture
def site() -> Iterator[tuple[str, dict[str, Answer]]]:
    """A web server on this machine, and what it answers by path."""
    answers: dict[str, Answer] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answers[self.path](self)

        def log_message(self, format: str, *args: object) -> None:
            """Into the test's output it does not belong."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", answers
    server.shutdown()
    thread.join()
    server.server_close()


def says(status: int, body: bytes = b"", headers: Mapping[str, str] = NO_HEADERS) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    return answer


HERE = Fetcher(FetchRules(frozenset({"127.0.0.1"}), allow_private=True))


async def test_a_document_is_fetched_and_a_redirect_followed(site: tuple[str, dict[str, Answer]]) -> None:
    address, answers = site
    answers |= {"/a": says(302, headers={"Location": "/b"}), "/b": says(200, b"letter")}

    assert await HERE.fetch(f"{address}/a", max_bytes=10) == b"letter"


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (says(404), FetchRefused),
        (says(302, headers={"Location": "https://elsewhere.example/"}), FetchRefused),
        (says(302, headers={"Location": "http://localhost/secret"}), FetchRefused),
        (says(200, b"x" * 11), FetchRefused),
        (says(500), FetchFailed),
        (says(503, headers={"Retry-After": "7"}), FetchFailed),
        (says(429), FetchFailed),
        (lambda request: request.connection.close(), FetchFailed),
    ],
    ids=["404", "elsewhere", "redirect inside", "too large", "500", "503", "429", "broken"],
)
async def test_a_bad_answer_is_final_or_tried_again(
    site: tuple[str, dict[str, Answer]], answer: Answer, kind: type[Exception]
) -> None:
    address, answers = site
    answers["/"] = answer

    with pytest.raises(kind):
        await HERE.fetch(f"{address}/", max_bytes=10)


async def test_a_private_address_is_refused_where_it_is_not_allowed(site: tuple[str, dict[str, Answer]]) -> None:
    address, _ = site

    with pytest.raises(FetchRefused):
        await Fetcher(FetchRules(frozenset({"127.0.0.1"}))).fetch(address.replace("http:", "https:"), max_bytes=10)


async def test_a_silent_server_is_tried_again(
    site: tuple[str, dict[str, Answer]], monkeypatch: pytest.MonkeyPatch
) -> None:
    address, answers = site
    asked, over = threading.Event(), threading.Event()

    def silent(request: BaseHTTPRequestHandler) -> None:
        asked.set()
        over.wait(60)

    answers["/"] = silent
    monkeypatch.setattr("muster.adapters.fetching.TOTAL_SECONDS", 1.0)
    try:
        with pytest.raises(FetchFailed, match="did not arrive within"):
            await HERE.fetch(f"{address}/", max_bytes=10)
    finally:
        over.set()
    assert asked.is_set()


def test_a_picture_in_every_mode_is_read_as_grey() -> None:
    page = draw("modes", 24)
    modes = [page, page.convert("1"), page.convert("P"), page.convert("RGBA"), page.convert("CMYK"), page.convert("I")]
    modes.append(Image.merge("RGBA", [Image.new("L", page.size)] * 3 + [page.point(lambda value: 255 - value)]))
    modes.append(page.point(lambda value: 255 - value))

    for picture in modes:
        found = dark_on_bright(grey(picture))
        assert (found.mode, found.size, found.getpixel((2, 2))) == ("L", page.size, 255), picture.mode
        assert int(np.asarray(found).min()) <= 120, picture.mode


def test_a_scan_with_a_stamp_as_its_only_text_is_read_as_a_picture() -> None:
    out = io.BytesIO()
    draw("scan", 24).save(out, "PDF", resolution=150)

    assert isinstance(page_text_or_picture(out.getvalue(), 1), Image.Image)
    assert page_text_or_picture(typed_pdf(["Short but typed."]), 1) == "Short but typed."
