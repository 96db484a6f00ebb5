"""The official Cloudinary SDK against the local server: what it uploads, overwrites, deletes, and how it is refused."""

import io
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cloudinary
import cloudinary.exceptions
import cloudinary.uploader
import cloudinary.utils
import httpx
import pytest
import uvicorn
from muster_local.cloudinary import CloudinaryAccount, create_app
from muster_local.cloudinary_signature import is_signed
from muster_local.cloudinary_store import AssetStore, Content, is_public_id
from muster_local.ports import free_port, wait_until
from PIL import Image

ACCOUNT = CloudinaryAccount("rotc", "key-1", "secret-1")
OPTIONS: dict[str, Any] = {"cloud_name": "rotc", "api_key": "key-1", "api_secret": "secret-1", "timeout": 10}


@pytest.fixture(scope="module")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = free_port()
    app = create_app(ACCOUNT, tmp_path_factory.mktemp("cloudinary"))
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    assert wait_until(lambda: server.started, timeout_seconds=60)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(10)


@pytest.fixture
def sdk(server_url: str) -> dict[str, Any]:
    return {**OPTIONS, "upload_prefix": server_url}


def picture(colour: str, size: tuple[int, int] = (40, 30), kind: str = "JPEG") -> bytes:
    target = io.BytesIO()
    Image.new("RGB", size, colour).save(target, kind)
    return target.getvalue()


def upload(data: bytes, **options: Any) -> dict[str, Any]:
    answer: dict[str, Any] = cloudinary.uploader.upload(io.BytesIO(data), **options)
    return answer


def test_an_uploaded_picture_is_delivered_byte_for_byte(sdk: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    data = picture("red")
    answer = upload(data, public_id="profile_pic_7", folder="rotc/profile_pic", overwrite=True, invalidate=True, **sdk)

    assert answer["public_id"] == "rotc/profile_pic/profile_pic_7"
    assert (answer["width"], answer["height"], answer["format"], answer["bytes"]) == (40, 30, "jpg", len(data))
    delivered = httpx.get(answer["secure_url"])
    assert delivered.content == data
    assert delivered.headers["content-type"] == "image/jpeg"
    monkeypatch.setattr(cloudinary.config(), "api_secret", "secret-1")
    assert cloudinary.utils.verify_api_response_signature(answer["public_id"], answer["version"], answer["signature"])


def test_an_overwrite_gets_a_new_url_and_replaces_the_file(sdk: dict[str, Any]) -> None:
    first = upload(picture("red"), public_id="twice", **sdk)
    second = upload(picture("blue", kind="PNG"), public_id="twice", overwrite=True, **sdk)

    assert second["version"] > first["version"]
    assert second["overwritten"] is True
    assert httpx.get(second["url"]).content == picture("blue", kind="PNG")
    assert httpx.get(first["url"]).status_code == 404  # the JPEG is gone, its URL names a JPEG


def test_without_overwrite_the_first_file_stays(sdk: dict[str, Any]) -> None:
    first = upload(picture("red"), public_id="stays", **sdk)
    again = upload(picture("blue"), public_id="stays", overwrite=False, **sdk)

    assert again["existing"] is True
    assert again["etag"] == first["etag"]


def test_deleting_twice_says_ok_and_then_not_found(sdk: dict[str, Any]) -> None:
    answer = upload(picture("red"), public_id="short lived", **sdk)

    assert cloudinary.uploader.destroy("short lived", invalidate=True, **sdk)["result"] == "ok"
    assert cloudinary.uploader.destroy("short lived", **sdk)["result"] == "not found"
    assert httpx.get(answer["url"]).status_code == 404


def test_a_document_goes_up_raw_and_keeps_its_extension(sdk: dict[str, Any]) -> None:
    answer = upload(b"%PDF-1.7 letter", resource_type="raw", public_id="excuse_letter_3.pdf", **sdk)

    assert answer["url"].endswith(f"/raw/upload/v{answer['version']}/excuse_letter_3.pdf")
    assert httpx.get(answer["url"]).content == b"%PDF-1.7 letter"
    assert cloudinary.uploader.destroy("excuse_letter_3.pdf", resource_type="raw", **sdk)["result"] == "ok"


@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
@pytest.mark.parametrize("version", [1, 2])
def test_every_way_of_signing_is_understood(sdk: dict[str, Any], algorithm: str, version: int) -> None:
    signing = {"signature_algorithm": algorithm, "signature_version": version}
    answer = upload(picture("red"), public_id="signed", tags=["a", "b"], context="a=1", **signing, **sdk)
    assert answer["public_id"] == "signed"


def test_a_wrong_secret_is_refused(sdk: dict[str, Any]) -> None:
    with pytest.raises(cloudinary.exceptions.AuthorizationRequired, match=r"Invalid Signature .* String to sign"):
        upload(picture("red"), **{**sdk, "api_secret": "guess"})


def test_an_unknown_key_is_refused(sdk: dict[str, Any]) -> None:
    with pytest.raises(cloudinary.exceptions.AuthorizationRequired, match="Unknown API key other"):
        upload(picture("red"), **{**sdk, "api_key": "other"})


def test_another_cloud_is_refused(sdk: dict[str, Any]) -> None:
    with pytest.raises(cloudinary.exceptions.AuthorizationRequired, match="Invalid cloud_name"):
        upload(picture("red"), **{**sdk, "cloud_name": "other"})


def test_a_request_of_yesterday_is_stale(sdk: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloudinary.utils, "now", lambda: str(int(time.time()) - 86_400))
    with pytest.raises(cloudinary.exceptions.BadRequest, match="Stale request"):
        upload(picture("red"), **sdk)


def test_a_changed_parameter_breaks_the_signature() -> None:
    signed = {"public_id": "mine", "timestamp": "1"}
    signature = cloudinary.utils.api_sign_request(signed, "s")
    assert is_signed({**signed, "signature": signature}, "s")
    assert not is_signed({**signed, "public_id": "yours", "signature": signature}, "s")
    assert not is_signed(signed, "s")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"not a picture", "Invalid image file"),
        (picture("red", kind="PNG")[:60], "Invalid image file"),
        (b"\xff" * (20 * 1024 * 1024 + 1), "File size too large"),
        (b"\xff" * (30 * 1024 * 1024), "File size too large"),
    ],
    ids=["text", "truncated", "over the file limit", "over the body limit"],
)
def test_what_is_no_picture_or_too_large_is_refused(sdk: dict[str, Any], data: bytes, message: str) -> None:
    with pytest.raises(cloudinary.exceptions.Error, match=message):
        upload(data, **sdk)


@pytest.mark.parametrize(
    "public_id",
    ["../secret", "a/../b", "/etc/passwd", "a//b", "a?b", "x" * 256, "", "a\nb", "./a", "a/.", " a", "a\\b"],
)
def test_a_public_id_that_could_leave_its_folder_is_invalid(public_id: str) -> None:
    assert not is_public_id(public_id)


def test_delivery_leaves_its_folder_for_no_path(server_url: str) -> None:
    host, port = server_url.removeprefix("http://").split(":")
    # A socket, because every HTTP client would tidy the path first.
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(
            b"GET /rotc/raw/upload/v1/../../../../../../etc/passwd HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))
    assert answer.startswith(b"HTTP/1.1 404")
    assert b"root:" not in answer


def test_an_unsigned_upload_is_refused(server_url: str) -> None:
    answer = httpx.post(f"{server_url}/v1_1/rotc/image/upload", data={"timestamp": "1"}, files={"file": b"x"})
    assert answer.status_code == 400
    assert "unsigned" in answer.json()["error"]["message"]


def test_files_survive_a_restart(tmp_path: Path) -> None:
    AssetStore(tmp_path).put("raw", "kept.txt", Content(b"kept", "txt", "text/plain", "kept"))
    found = AssetStore(tmp_path).find("raw", "kept.txt")
    assert found is not None
    assert AssetStore(tmp_path).file(found).read_bytes() == b"kept"
