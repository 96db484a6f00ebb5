"""What a request to the local Cloudinary says: parameters, file, and what the file is. Stores nothing."""

import base64
import binascii
import secrets
import time
import warnings
from collections.abc import Mapping
from io import BytesIO
from pathlib import PurePosixPath

from PIL import Image, UnidentifiedImageError
from starlette.datastructures import FormData, UploadFile

from muster_local.cloudinary_store import Content, is_public_id

LARGEST_FILE_BYTES = 20 * 1024 * 1024
# A data: URL is a third larger than its file; the rest of the form is small.
LARGEST_BODY_BYTES = LARGEST_FILE_BYTES * 4 // 3 + 64 * 1024
_HOUR_SECONDS = 3600
# The URL's extension where Cloudinary writes it differently from Pillow.
_EXTENSIONS = {"JPEG": "jpg", "MPO": "jpg", "TIFF": "tif"}
# What Pillow raises for bytes that are no whole picture, or one that would fill the memory.
_UNREADABLE = (
    UnidentifiedImageError,
    OSError,
    SyntaxError,
    ValueError,
    Image.DecompressionBombWarning,
    Image.DecompressionBombError,
)


class Refusal(Exception):
    """A request that is answered with Cloudinary's error body."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def parameters(form: FormData) -> dict[str, str]:
    """The text fields; several values of `name[]` become one, joined as they were for the signature."""
    values: dict[str, list[str]] = {}
    for name, value in form.multi_items():
        if isinstance(value, str) and name != "file":
            values.setdefault(name.removesuffix("[]"), []).append(value)
    return {name: ",".join(parts) for name, parts in values.items()}


def check_fresh(timestamp: str) -> None:
    if not timestamp.isdecimal() or len(timestamp) > 12:
        raise Refusal(400, "Missing required parameter - timestamp")
    if abs(time.time() - int(timestamp)) > _HOUR_SECONDS:
        reported = time.strftime("%Y-%m-%d %H:%M:%S +0000", time.gmtime(int(timestamp)))
        raise Refusal(400, f"Stale request - reported time is {reported} which is more than 1 hour ago")


async def file(form: FormData) -> tuple[bytes, str]:
    """The uploaded bytes and their file name, of a file part or of a data: URL."""
    part = form.get("file")
    if isinstance(part, UploadFile):
        data, name = await part.read(), part.filename or "file"
    elif isinstance(part, str) and part.startswith("data:"):
        data, name = _data_url(part), "file"
    elif isinstance(part, str) and part:
        raise Refusal(400, "The local server fetches no URLs: send the file itself.")
    else:
        raise Refusal(400, "Missing required parameter - file")
    if not data:
        raise Refusal(400, "Empty file")
    if len(data) > LARGEST_FILE_BYTES:
        raise Refusal(400, f"File size too large. Got {len(data)}. Maximum is {LARGEST_FILE_BYTES}.")
    return data, name


def _data_url(text: str) -> bytes:
    try:
        return base64.b64decode(text.partition(";base64,")[2], validate=True)
    except binascii.Error:
        raise Refusal(400, "Invalid base64 in the data: URL") from None


def examine(kind: str, data: bytes, name: str) -> tuple[str, Content]:
    """The resource type (`auto` resolved) and what the bytes really are; blocks while Pillow reads them."""
    path = PurePosixPath(name)
    if kind != "raw":
        try:
            return "image", _picture(data, path.stem[:200])
        except _UNREADABLE as error:
            if kind == "image":
                raise Refusal(400, "Invalid image file") from error
    return "raw", Content(data, path.suffix[1:11], "application/octet-stream", path.stem[:200])


def _picture(data: bytes, name: str) -> Content:
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(BytesIO(data)) as image:
            kind, (width, height) = image.format or "", image.size
            image.verify()
    extension = _EXTENSIONS.get(kind, kind.lower())
    return Content(data, extension, Image.MIME.get(kind, "application/octet-stream"), name, width, height)


def public_id_of(parameters: Mapping[str, str], kind: str, name: str) -> str:
    chosen = parameters.get("public_id") or secrets.token_hex(10)
    if kind == "raw" and not parameters.get("public_id"):
        chosen += PurePosixPath(name).suffix[:10]
    folder = parameters.get("folder", "").strip("/")
    public_id = f"{folder}/{chosen}" if folder else chosen
    if not is_public_id(public_id):
        raise Refusal(400, f"public_id ({public_id[:100]}) is invalid")
    return public_id
