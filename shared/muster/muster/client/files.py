"""A file as parameter of a task, and how it is written: as base64 text, or in the store and named by reference."""

from __future__ import annotations

import base64
import mimetypes
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from muster.contracts.claim_check import Reference, can_hold, refer

Attachment = tuple[Reference, bytes]


class File:
    """For parameters that take `{"ref": ...}`, such as `image_data`: `File("photo.jpg")`, or bytes with their type.

    Where MUSTER_CLAIMS_URL is set and the submission goes straight to Kafka it travels through the store, else as
    base64 text.
    """

    def __init__(self, content: bytes | str | Path, *, media_type: str | None = None) -> None:
        """Reads the file at once. Raises OSError."""
        named = None if isinstance(content, bytes) else mimetypes.guess_type(str(content))[0]
        self.content = content if isinstance(content, bytes) else Path(content).read_bytes()
        self.media_type = media_type or named or "application/octet-stream"

    def text(self) -> str:
        return base64.b64encode(self.content).decode()


class Attachments:
    """Turns the files of one submission into references, and keeps what is to be handed in for them."""

    def __init__(self, task_id: str, now: datetime, due: datetime | None) -> None:
        self._task_id, self._now, self._due = task_id, now, due
        self.found: list[Attachment] = []

    def encoder(self, fallback: Callable[[object], object]) -> msgspec.json.Encoder:
        def form(value: object) -> Any:
            return self._refer(value) if isinstance(value, File) else fallback(value)

        return msgspec.json.Encoder(enc_hook=form)

    def _refer(self, file: File) -> Any:
        if not can_hold(self._task_id):
            return file.text()
        reference = refer(self._task_id, file.content, now=self._now, due=self._due, media_type=file.media_type)
        self.found.append((reference, file.content))
        return reference
