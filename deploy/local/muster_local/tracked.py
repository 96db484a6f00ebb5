"""The tracker's REST API as the demo uses it: submit one photo, read one status. Draws and prints nothing."""

import asyncio
import base64
import io
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import cloudinary.uploader
import httpx
import jwt

from muster_local.errors import LocalError
from muster_local.photos import Photo

#: Larger photos travel by address: a task record is meant for parameters, not for files.
_LARGEST_INLINE_BYTES = 512 * 1024
_TOKEN_SECONDS = 3600
TERMINAL = frozenset({"SUCCESS", "FAILURE", "REVOKED", "EXPIRED"})


@dataclass
class Upload:
    """One photo on its way: the task, and the last status the API told."""

    photo: Photo
    cadet_id: int
    task_id: str = ""
    status: dict[str, Any] = field(default_factory=dict)

    @property
    def state(self) -> str:
        return str(self.status.get("status", "SENT"))

    @property
    def over(self) -> bool:
        return self.state in TERMINAL

    @property
    def share(self) -> float:
        """How far the task has come, 0 to 1."""
        progress = self.status.get("progress") or {}
        total = progress.get("total") or 0
        return 1.0 if self.over else float(progress.get("done", 0)) / total if total else 0.0

    @property
    def error(self) -> str:
        """Why it failed; empty when it did not."""
        error = self.status.get("error")
        text = error.get("message", "") if isinstance(error, dict) else error or ""
        return str(text) if self.state != "SUCCESS" else ""


async def first_admin(database: asyncpg.Connection) -> int:
    """users.id of an approved admin of the demo data.

    Raises:
        LocalError: there is none.
    """
    found = await database.fetchval("SELECT id FROM users WHERE role = 'admin' AND is_approved ORDER BY id LIMIT 1")
    if found is None:
        raise LocalError("The database has no approved admin: run `python -m rotc demo` on it.")
    return int(found)


async def token_of_first_admin(env: Mapping[str, str]) -> str:
    """A token for the running system's API.

    Raises:
        LocalError: the database does not answer, or has no admin.
    """
    try:
        database = await asyncpg.connect(env["DATABASE_URL"])
    except (OSError, asyncpg.PostgresError) as error:
        raise LocalError("The database does not answer: start the system with `make up`.") from error
    try:
        return admin_token(env, await first_admin(database))
    finally:
        await database.close()


def admin_token(env: Mapping[str, str], user_id: int) -> str:
    """A token like those the Django backend gives out, for the admin of the demo data."""
    now = int(time.time())
    claims = {"token_type": "access", "iat": now, "exp": now + _TOKEN_SECONDS, "jti": f"demo-{now}"}
    return jwt.encode({**claims, "custom_user_id": user_id, "role": "admin"}, env["DJANGO_SECRET_KEY"], "HS256")


def api(env: Mapping[str, str], user_id: int) -> httpx.AsyncClient:
    """A client of the API, signed in as the admin."""
    headers = {"Authorization": f"Bearer {admin_token(env, user_id)}"}
    # No proxy of the person's own stands between two programs of one machine.
    return httpx.AsyncClient(base_url=env["MUSTER_API_URL"], headers=headers, timeout=30, trust_env=False)


async def submit(client: httpx.AsyncClient, env: Mapping[str, str], upload: Upload) -> None:
    """Hand the photo to the API. Raises LocalError with what it answered when it does not take it."""
    parameters = {
        "image_data": await _image_data(env, upload),
        "entity_type": "profile_pic",
        "entity_id": upload.cadet_id,
    }
    body = {"name": "compress_and_upload_image", "parameters": parameters}
    answer = await client.post("/api/tasks", json=body)
    if answer.status_code != httpx.codes.ACCEPTED:
        raise LocalError(f"The API did not take '{upload.photo.kind}': {answer.status_code} {answer.text[:500]}")
    upload.task_id = answer.json()["task_id"]


async def refresh(client: httpx.AsyncClient, upload: Upload) -> None:
    """Ask for the status. Raises LocalError when there is none to be had."""
    answer = await client.get(f"/api/tasks/{upload.task_id}/status")
    if answer.status_code != httpx.codes.OK:
        raise LocalError(f"No status of task {upload.task_id}: {answer.status_code} {answer.text[:500]}")
    upload.status = answer.json()


async def _image_data(env: Mapping[str, str], upload: Upload) -> str:
    data = upload.photo.data
    if len(data) <= _LARGEST_INLINE_BYTES:
        return base64.b64encode(data).decode()
    return await asyncio.to_thread(put_up, env, f"originals/cadet_{upload.cadet_id}", data)


def put_up(env: Mapping[str, str], public_id: str, data: bytes) -> str:
    """Store the original as a phone's own upload would, and return its address."""
    answer = cloudinary.uploader.upload(
        io.BytesIO(data),
        resource_type="raw",
        public_id=public_id,
        overwrite=True,
        timeout=30,
        cloud_name=env["CLOUDINARY_CLOUD_NAME"],
        api_key=env["CLOUDINARY_API_KEY"],
        api_secret=env["CLOUDINARY_API_SECRET"],
        upload_prefix=env["CLOUDINARY_UPLOAD_PREFIX"],
    )
    return str(answer["secure_url"])
