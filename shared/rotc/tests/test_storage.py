"""The official SDK against a server that checks signatures, and against servers that misbehave."""

from __future__ import annotations

import dataclasses
import json
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
import uvicorn
from muster_local.cloudinary import CloudinaryAccount, create_app
from pydantic import SecretStr
from rotc.storage import CloudinaryStorage, StorageRefused, StorageUnavailable

GIF = b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;"
PICTURE, LETTER = "rotc/profile_pic/profile_pic_1", "rotc/excuse_letter/excuse_letter_1.pdf"
SECRET = "not-to-be-seen"


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudinaryStorage]:
    folder: Path = tmp_path_factory.mktemp("files")
    app = create_app(CloudinaryAccount("unit", "key", SECRET), folder)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    # Listening from the start: a request made before the server runs waits in the backlog.
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield CloudinaryStorage("unit", "key", SecretStr(SECRET), f"http://127.0.0.1:{listener.getsockname()[1]}", 10)
    server.should_exit = True
    thread.join()


def fetch(url: str) -> httpx.Response:
    return httpx.get(url, trust_env=False)


async def test_a_stored_file_is_delivered_at_its_url(storage: CloudinaryStorage) -> None:
    picture = await storage.upload(GIF, PICTURE, "image")
    letter = await storage.upload(b"%PDF-1.7", LETTER, "raw")

    assert picture.endswith(f"{PICTURE}.gif")
    assert letter.endswith(LETTER)
    assert (fetch(picture).content, fetch(letter).content) == (GIF, b"%PDF-1.7")


async def test_storing_a_name_again_replaces_the_file(storage: CloudinaryStorage) -> None:
    first = await storage.upload(b"one", LETTER, "raw")
    second = await storage.upload(b"two", LETTER, "raw")

    assert first != second, "caches would go on with the old file"
    assert fetch(first).content == fetch(second).content == b"two"


@pytest.mark.parametrize(("name", "kind", "data"), [(PICTURE, "image", GIF), (LETTER, "raw", b"%PDF-1.7")])
async def test_deleting_finds_either_kind_and_says_when_nothing_was_there(
    storage: CloudinaryStorage, name: str, kind: str, data: bytes
) -> None:
    url = await storage.upload(data, name, kind)

    assert [await storage.destroy(name), await storage.destroy(name)] == [True, False]
    assert fetch(url).status_code == 404


async def test_a_refused_file_is_final_and_says_why(storage: CloudinaryStorage) -> None:
    with pytest.raises(StorageRefused, match="The storage refused the file: Invalid image file"):
        await storage.upload(b"text", PICTURE, "image")


@pytest.mark.parametrize("changed", [{"api_secret": SecretStr("other")}, {"api_key": "other"}, {"cloud_name": "other"}])
async def test_wrong_credentials_are_final_and_never_shown(
    storage: CloudinaryStorage, changed: dict[str, object]
) -> None:
    with pytest.raises(StorageRefused, match="does not accept our credentials") as caught:
        await dataclasses.replace(storage, **changed).upload(GIF, PICTURE, "image")  # type: ignore[arg-type]

    assert SECRET not in f"{caught.value!r} {storage!r}"


Serve = Callable[[int, bytes], CloudinaryStorage]


@pytest.fixture
def answering() -> Iterator[Serve]:
    """A storage whose server gives one fixed answer."""
    servers: list[ThreadingHTTPServer] = []

    def start(status: int, body: bytes) -> CloudinaryStorage:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Called per request; the tests' output stays clean."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        return CloudinaryStorage("unit", "key", SecretStr(SECRET), f"http://127.0.0.1:{server.server_port}", 2)

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def error(message: str) -> bytes:
    return json.dumps({"error": {"message": message}}).encode()


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (400, error("Invalid image file"), StorageRefused),
        (401, error("String to sign - 'secret stuff'"), StorageRefused),
        (403, error("plan limit"), StorageRefused),
        (420, error("slow down"), StorageUnavailable),
        (429, error("slow down"), StorageUnavailable),
        (500, error("oops"), StorageUnavailable),
        (502, b"<html>bad gateway</html>", StorageUnavailable),
        (503, error("busy"), StorageUnavailable),
        (200, b"[]", StorageUnavailable),
        (200, b"", StorageUnavailable),
    ],
)
async def test_only_what_may_pass_is_tried_again(
    answering: Serve, status: int, body: bytes, expected: type[Exception]
) -> None:
    with pytest.raises(expected) as caught:
        await answering(status, body).upload(GIF, PICTURE, "image")

    assert "secret stuff" not in str(caught.value)


async def test_an_answer_that_is_not_signed_with_our_secret_is_not_believed(answering: Serve) -> None:
    forged = {"public_id": PICTURE, "version": 1, "signature": "0" * 40, "secure_url": "https://evil.example/x.jpg"}

    with pytest.raises(StorageUnavailable, match="not signed with our key"):
        await answering(200, json.dumps(forged).encode()).upload(GIF, PICTURE, "image")


async def test_a_storage_out_of_reach_is_tried_again(unused_tcp_port: int) -> None:
    storage = CloudinaryStorage("unit", "key", SecretStr(SECRET), f"http://127.0.0.1:{unused_tcp_port}", 1)

    with pytest.raises(StorageUnavailable, match="did not answer properly"):
        await storage.destroy(PICTURE)


async def test_a_storage_that_hangs_is_given_up_on() -> None:
    hanging = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)  # listens, and never answers
    storage = CloudinaryStorage("unit", "key", SecretStr(SECRET), f"http://127.0.0.1:{hanging.server_port}", 0.2)

    with pytest.raises(StorageUnavailable):
        await storage.destroy(PICTURE)

    hanging.server_close()
