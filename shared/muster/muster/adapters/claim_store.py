"""Payloads in a folder or in a bucket, through fsspec. What lies there, and for how long, is decided elsewhere.

fsspec and s3fs are the extra `claims`; they are imported when a store is opened, not before.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Collection
from datetime import date
from typing import Any, TypeVar

from muster.claim_check import ClaimCheck
from muster.contracts.claim_check import Key, parse_key
from muster.contracts.errors import ConfigurationError, PayloadUnavailable
from muster.settings import ClaimCheckSettings

#: One request to the store, its library's own repeats included.
ANSWER_SECONDS = 120.0
#: Keys of one delete request: S3 takes 1,000.
DELETED_AT_ONCE = 1000

T = TypeVar("T")


def open_claim_check(settings: ClaimCheckSettings) -> ClaimCheck | None:
    """The claim check of this process; None when none is configured.

    Raises:
        ConfigurationError: the extra `claims` is not installed.
    """
    return None if settings.url is None else ClaimCheck(ClaimStore(settings), settings)


class ClaimStore:
    """A `PayloadStore` below the root that MUSTER_CLAIMS_URL names."""

    def __init__(self, settings: ClaimCheckSettings) -> None:
        self._url = settings.url or ""
        try:
            from fsspec.core import url_to_fs  # the extra is needed by whoever sets a URL

            self._fs, root = url_to_fs(self._url, **_options(settings))
        except (ImportError, ValueError) as error:
            raise ConfigurationError(
                f"MUSTER_CLAIMS_URL is set, but its store cannot be used ({error}): install muster[claims]"
            ) from error
        self._root = str(root).rstrip("/")
        self._is_local = self._url.startswith("file:")

    async def put(self, key: Key, data: bytes) -> None:
        await self._asked(self._put, f"{self._root}/{key}", data)

    async def get(self, key: Key, *, max_bytes: int) -> bytes:
        return await self._asked(self._get, f"{self._root}/{key}", max_bytes)

    async def keys(self, *, before: date) -> list[Key]:
        return await self._asked(self._keys, before)

    async def remove(self, keys: Collection[Key]) -> None:
        if keys:
            await self._asked(self._remove, keys)

    def _put(self, path: str, data: bytes) -> None:
        if not self._is_local:
            self._fs.pipe_file(path, data)
            return
        # A file is seen by others while it grows; a renamed one is there whole.
        part = f"{self._root}/.parts/{uuid.uuid4().hex}"
        self._fs.pipe_file(part, data)
        self._fs.makedirs(path.rpartition("/")[0], exist_ok=True)
        self._fs.mv(part, path)

    def _get(self, path: str, max_bytes: int) -> bytes:
        data: bytes = self._fs.cat_file(path, start=0, end=max_bytes)
        return data

    def _keys(self, before: date) -> list[Key]:
        found: list[Key] = []
        for folder in self._listed(self._root):
            if _is_before(folder.rpartition("/")[2], before):
                for path in self._fs.find(folder):
                    key = parse_key("/".join(str(path).split("/")[-3:]))
                    if key is not None:
                        found.append(key)
        return found

    def _listed(self, path: str) -> list[str]:
        try:
            return [str(name).rstrip("/") for name in self._fs.ls(path, detail=False, refresh=True)]
        except FileNotFoundError:
            return []  # nobody has handed anything in yet

    def _remove(self, keys: Collection[Key]) -> None:
        paths = [f"{self._root}/{key}" for key in keys]
        if not self._is_local:
            for start in range(0, len(paths), DELETED_AT_ONCE):
                self._fs.rm(paths[start : start + DELETED_AT_ONCE])
            return
        for path in paths:
            if self._fs.exists(path):
                self._fs.rm_file(path)
        self._remove_empty({path.rpartition("/")[0] for path in paths})

    def _remove_empty(self, folders: Collection[str]) -> None:
        """A bucket has no folders to sweep; a file system keeps them."""
        days = {folder.rpartition("/")[0] for folder in folders}
        for folder in (*folders, *days):
            try:
                self._fs.rmdir(folder)
            except OSError:
                continue  # something else lies there still

    async def _asked(self, call: Callable[..., T], *arguments: Any) -> T:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await asyncio.to_thread(call, *arguments)
        except FileNotFoundError:
            raise PayloadUnavailable(
                "the payload is not in the store: it was removed, or MUSTER_CLAIMS_URL names another store here"
            ) from None
        except Exception as error:
            # Which errors a store has is its library's secret; to the engine each of them is "not now".
            raise PayloadUnavailable(f"the store of payloads does not answer: {type(error).__name__}") from error


def _options(settings: ClaimCheckSettings) -> dict[str, Any]:
    if not (settings.url or "").startswith("s3:"):
        return {"auto_mkdir": True}
    secret = settings.secret_access_key
    return {
        "endpoint_url": settings.endpoint_url,
        "key": settings.access_key_id,
        "secret": secret.get_secret_value() if secret else None,
        "use_listings_cache": False,
        "skip_instance_cache": True,
        "config_kwargs": {"connect_timeout": 5, "read_timeout": 60, "retries": {"max_attempts": 3}},
    }


def _is_before(name: str, day: date) -> bool:
    try:
        return date.fromisoformat(name) < day
    except ValueError:
        return False
