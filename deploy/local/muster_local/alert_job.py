"""What the demo shows of alerts: a task fails for good, and an admin is told once, in the app and by mail."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from typing import Any

import asyncpg
import httpx
from rich.console import Console

from muster_local.errors import LocalError
from muster_local.tracked import api, first_admin

_LIMIT_SECONDS = 60.0
_LOOK_SECONDS = 0.3
#: No picture, whatever it says of itself.
_BROKEN = base64.b64encode(b"this is no photo of anybody").decode()
# The group that counted this very task; what was told of it last has reached everybody.
_TOLD = """
    SELECT g.total, (SELECT count(*) FROM muster.alerts a WHERE a.group_key = g.key) AS alerts
    FROM muster.alert_groups g
    WHERE g.task_id = $1 AND NOT EXISTS (
        SELECT FROM muster.alerts a JOIN muster.alert_deliveries d ON d.alert_id = a.id
        WHERE a.group_key = g.key AND d.state = 'open')
"""


def run_alert_job(env: Mapping[str, str], console: Console) -> int:
    """Let a task fail and print who was told; returns the exit code, 0 when somebody was."""
    console.print("\nSending a file that is no photo, so that a task fails ...")
    told, link = asyncio.run(_job(env))
    if told is None:
        console.print("Nobody was told of the failure.")
        return 1
    console.print(
        f"Failures of this kind so far: {told['total']}; alerts: {told['alerts']}. More of them make a digest."
    )
    if link:
        console.print(f"The alert is at {link}", markup=False, soft_wrap=True)
    return 0


async def _job(env: Mapping[str, str]) -> tuple[asyncpg.Record | None, str]:
    database = await asyncpg.connect(env["DATABASE_URL"])
    try:
        admin = await first_admin(database)
        email = await database.fetchval("SELECT email FROM users WHERE id = $1", admin)
        async with api(env, admin) as client:
            told = await _until_told(database, await _fail(client))
            found = (await client.get(f"{env['MAIL_URL']}/api/messages", params={"to": email})).json()
    finally:
        await database.close()
    mails = [mail for mail in found if mail["subject"].startswith("[muster]")]
    return told, f"{env['MAIL_URL']}/messages/{mails[0]['id']}" if mails else ""


async def _fail(client: httpx.AsyncClient) -> str:
    parameters: dict[str, Any] = {"image_data": _BROKEN, "entity_type": "profile_pic", "entity_id": 1}
    answer = await client.post("/api/tasks", json={"name": "compress_and_upload_image", "parameters": parameters})
    if answer.status_code != httpx.codes.ACCEPTED:
        raise LocalError(f"The API did not take the task: {answer.status_code} {answer.text[:500]}")
    return str(answer.json()["task_id"])


async def _until_told(database: asyncpg.Connection, task_id: str) -> asyncpg.Record | None:
    """None when nobody was within a minute."""
    deadline = asyncio.get_running_loop().time() + _LIMIT_SECONDS
    while asyncio.get_running_loop().time() < deadline:
        if (told := await database.fetchrow(_TOLD, task_id)) is not None:
            return told
        await asyncio.sleep(_LOOK_SECONDS)
    return None
