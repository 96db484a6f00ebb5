"""The uploaded files of the local Cloudinary on disk, one per public id. Knows no HTTP and no signatures."""

import hashlib
import json
import os
import re
import threading
import time
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path

# What the real service refuses in a public id, and what could leave the folder on some other disk layout.
_FORBIDDEN = re.compile(r"[?&#\\%<>+\x00-\x1f\x7f]|(^|/)\.{1,2}(/|$)|//|^/|/$|^\s|\s$")
_LONGEST_PUBLIC_ID = 255


@dataclass(frozen=True)
class Asset:
    """One stored file and what is known of it."""

    public_id: str
    resource_type: str
    #: Grows with every overwrite, so that every content has a URL of its own.
    version: int
    #: The extension of the URL, like "jpg"; empty for raw files.
    format: str
    content_type: str
    bytes: int
    etag: str
    asset_id: str
    created_at: str
    original_filename: str
    width: int = 0
    height: int = 0


@dataclass(frozen=True)
class Content:
    """A file to be stored, already examined."""

    data: bytes
    format: str
    content_type: str
    original_filename: str
    width: int = 0
    height: int = 0


def is_public_id(text: str) -> bool:
    return 0 < len(text) <= _LONGEST_PUBLIC_ID and not _FORBIDDEN.search(text)


class AssetStore:
    """Assets below one folder; a public id never becomes part of a path, its hash does."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()

    def find(self, resource_type: str, public_id: str) -> Asset | None:
        try:
            return Asset(**json.loads(self._card(resource_type, public_id).read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None

    def put(self, resource_type: str, public_id: str, content: Content) -> Asset:
        """Store or overwrite; readers see the old or the new file, never a half one."""
        with self._lock:
            old = self.find(resource_type, public_id)
            now = time.time()
            asset = Asset(
                public_id=public_id,
                resource_type=resource_type,
                version=max(int(now), old.version + 1 if old else 0),
                format=content.format,
                content_type=content.content_type,
                bytes=len(content.data),
                etag=hashlib.md5(content.data, usedforsecurity=False).hexdigest(),
                asset_id=old.asset_id if old else uuid.uuid4().hex,
                created_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now)),
                original_filename=content.original_filename,
                width=content.width,
                height=content.height,
            )
            _write(self.file(asset), content.data)
            # The card names the file: writing it is the moment of the overwrite.
            _write(self._card(resource_type, public_id), json.dumps(asdict(asset)).encode())
            if old:
                self.file(old).unlink(missing_ok=True)
            return asset

    def remove(self, resource_type: str, public_id: str) -> bool:
        """False when there was nothing to remove."""
        with self._lock:
            asset = self.find(resource_type, public_id)
            if asset:
                self._card(resource_type, public_id).unlink()
                self.file(asset).unlink(missing_ok=True)
            return asset is not None

    def file(self, asset: Asset) -> Path:
        return self._card(asset.resource_type, asset.public_id).with_suffix(f".{asset.version}")

    def _card(self, resource_type: str, public_id: str) -> Path:
        key = hashlib.sha256(public_id.encode()).hexdigest()
        return self._folder / resource_type / key[:2] / f"{key}.json"


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f"{path.name}.{uuid.uuid4().hex}.part")
    scratch.write_bytes(data)
    os.replace(scratch, path)
