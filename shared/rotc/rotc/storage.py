"""Stores files at Cloudinary (or a server that speaks like it). Knows no task, no table and no picture."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import cloudinary.exceptions as refusals
import cloudinary.uploader
import cloudinary.utils
from muster.contracts.errors import PermanentError, Retry
from pydantic import SecretStr
from urllib3 import Timeout

from rotc.service_settings import StorageSettings

CONNECT_SECONDS = 10.0
_RESOURCE_TYPES = ("image", "raw")


class StorageRefused(PermanentError):
    """The storage will not take this file, or not from us; trying again cannot help."""


class StorageUnavailable(Retry):
    """The storage is busy, broken or out of reach."""


class Storage(Protocol):
    """Where files are kept under names that we choose. Storing a name again replaces the file."""

    async def upload(self, data: bytes, public_id: str, resource_type: str) -> str:
        """Store a file ("image" or "raw") and return its https URL.

        Raises: StorageRefused, StorageUnavailable.
        """

    async def destroy(self, public_id: str) -> bool:
        """Delete whatever has this name; False when nothing had it.

        Raises: StorageRefused, StorageUnavailable.
        """


@dataclass(frozen=True)
class CloudinaryStorage:
    """The official SDK, which blocks, in threads; every call carries its own configuration and a time limit."""

    cloud_name: str
    api_key: str
    api_secret: SecretStr
    upload_prefix: str
    timeout_seconds: float

    @classmethod
    def of(cls, settings: StorageSettings) -> CloudinaryStorage:
        """The account that the settings name; nothing is asked of it yet."""
        return cls(
            settings.cloudinary_cloud_name,
            settings.cloudinary_api_key,
            settings.cloudinary_api_secret,
            settings.cloudinary_upload_prefix,
            settings.cloudinary_timeout_seconds,
        )

    async def upload(self, data: bytes, public_id: str, resource_type: str) -> str:
        answer = await self._call(
            cloudinary.uploader.upload,
            data,
            public_id=public_id,
            filename=public_id.rpartition("/")[2],
            resource_type=resource_type,
            overwrite=True,
            invalidate=True,
        )
        self._verify(answer, public_id)
        return str(answer["secure_url"])

    async def destroy(self, public_id: str) -> bool:
        # The name does not say which kind it is: older uploads kept PDF files as images.
        answers = [
            await self._call(cloudinary.uploader.destroy, public_id, resource_type=resource_type, invalidate=True)
            for resource_type in _RESOURCE_TYPES
        ]
        return any(answer.get("result") == "ok" for answer in answers)

    async def _call(self, function: Callable[..., Any], *args: Any, **options: Any) -> dict[str, Any]:
        # The SDK's own configuration is global and read from the environment: here nothing is taken from it.
        options |= {
            "cloud_name": self.cloud_name,
            "api_key": self.api_key,
            "api_secret": self.api_secret.get_secret_value(),
            "upload_prefix": self.upload_prefix,
            "oauth_token": None,
            "signature_algorithm": cloudinary.utils.SIGNATURE_SHA1,
            "signature_version": 2,
            "timeout": Timeout(connect=min(CONNECT_SECONDS, self.timeout_seconds), total=self.timeout_seconds),
        }
        try:
            answer = await asyncio.to_thread(function, *args, **options)
        except refusals.Error as error:
            raise _translated(error) from error
        if not isinstance(answer, dict):
            raise StorageUnavailable("The storage's answer cannot be read.")
        return answer

    def _verify(self, answer: dict[str, Any], public_id: str) -> None:
        """An answer that is not signed with our secret did not come from the storage."""
        signed = {"public_id": answer.get("public_id"), "version": answer.get("version")}
        # Answers are signed by the scheme's first version, whatever requests use.
        expected = cloudinary.utils.api_sign_request(
            signed, self.api_secret.get_secret_value(), cloudinary.utils.SIGNATURE_SHA1, 1
        )
        genuine = hmac.compare_digest(str(answer.get("signature")).encode(), expected.encode())
        if not genuine or answer.get("public_id") != public_id or not answer.get("secure_url"):
            raise StorageUnavailable("The storage's answer is not signed with our key: check CLOUDINARY_UPLOAD_PREFIX.")


def _translated(error: refusals.Error) -> PermanentError | Retry:
    """What an SDK error means for the task. Its text is kept only where it is about the file: others name keys."""
    match error:
        case refusals.AuthorizationRequired():
            return StorageRefused(
                "The storage does not accept our credentials: check CLOUDINARY_CLOUD_NAME, _API_KEY and _API_SECRET."
            )
        case refusals.NotAllowed():
            return StorageRefused("The storage account may not do this: check its permissions and plan.")
        case refusals.BadRequest() | refusals.NotFound() | refusals.AlreadyExists():
            return StorageRefused(f"The storage refused the file: {str(error)[:200]}")
        case refusals.RateLimited():
            return StorageUnavailable("The storage asks us to slow down.")
    return StorageUnavailable("The storage did not answer properly.")
