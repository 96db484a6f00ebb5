"""Files that the stories send: good photos and bad ones. What becomes of them is the stories' to say."""

from __future__ import annotations

import base64
import io
from typing import Any

from PIL import Image

MB = 1024 * 1024


def jpeg(width: int = 640, height: int = 480, colour: str = "olive") -> bytes:
    return _saved(Image.new("RGB", (width, height), colour), "JPEG")


def huge_png() -> bytes:
    """20,000 x 10,000 pixels in a few kilobytes."""
    return _saved(Image.new("1", (20_000, 10_000)), "PNG")


def upload_of(data: bytes, entity_id: int = 1, entity_type: str = "profile_pic", **options: Any) -> dict[str, Any]:
    """Parameters of compress_and_upload_image."""
    return {
        "image_data": base64.b64encode(data).decode(), "entity_type": entity_type, "entity_id": entity_id, **options,
    }  # fmt: skip


def _saved(picture: Image.Image, kind: str) -> bytes:
    target = io.BytesIO()
    picture.save(target, kind)
    return target.getvalue()
