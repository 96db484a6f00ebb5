"""What the demo shows of mail: a cadet is told of a grade, and the mail stands on the local server's page."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import asyncpg
import httpx
from rich.console import Console

from muster_local.errors import LocalError
from muster_local.tracked import TERMINAL, api, first_admin

_LIMIT_SECONDS = 60.0
_LOOK_SECONDS = 0.3
_CADET = """
SELECT users.cadet_id, users.email FROM users
LEFT JOIN user_settings s ON s.user_id = users.id
WHERE users.cadet_id IS NOT NULL AND users.is_approved AND coalesce(s.email_alerts, true)
ORDER BY users.id LIMIT 1
"""


@dataclass(frozen=True)
class Arrived:
    """The mail as the local server has it; `complaint` is empty when all is well."""

    link: str = ""
    subject: str = ""
    complaint: str = ""


def run_mail_job(env: Mapping[str, str], console: Console) -> int:
    """Send one mail and print where it can be read; returns the exit code, 0 when it is there."""
    console.print("\nTelling a cadet of a grade by mail ...")
    arrived = asyncio.run(_job(env))
    if arrived.complaint:
        console.print(f"The mail is not there: {arrived.complaint}", markup=False, soft_wrap=True)
        return 1
    console.print(f"'{arrived.subject}' was sent.", markup=False)
    console.print(f"The mail is at {arrived.link}", markup=False, soft_wrap=True)
    return 0


async def _job(env: Mapping[str, str]) -> Arrived:
    database = await asyncpg.connect(env["DATABASE_URL"])
    try:
        admin, cadet = await first_admin(database), await database.fetchrow(_CADET)
    finally:
        await database.close()
    if cadet is None:
        raise LocalError("No cadet has an account that wants mail: run `python -m rotc demo` on the database.")
    parameters = {"cadet_id": cadet["cadet_id"], "grade_type": "prelim", "new_value": 92.5}
    async with api(env, admin) as client:
        status = await _run(client, parameters)
        if status.get("status") != "SUCCESS":
            return Arrived(complaint=f"{status.get('status')}: {status.get('error') or 'not over in time'}")
        found = (await client.get(f"{env['MAIL_URL']}/api/messages", params={"to": cadet["email"]})).json()
    if not found or found[0]["message_id"] != status["result"]["message_id"]:
        return Arrived(complaint="the local mail server does not have it")
    return Arrived(f"{env['MAIL_URL']}/messages/{found[0]['id']}", found[0]["subject"])


async def _run(client: httpx.AsyncClient, parameters: dict[str, Any]) -> dict[str, Any]:
    answer = await client.post("/api/tasks", json={"name": "send_grade_update_email", "parameters": parameters})
    if answer.status_code != httpx.codes.ACCEPTED:
        raise LocalError(f"The API did not take the mail: {answer.status_code} {answer.text[:500]}")
    task_id, deadline = answer.json()["task_id"], asyncio.get_running_loop().time() + _LIMIT_SECONDS
    while True:
        answer = await client.get(f"/api/tasks/{task_id}/status")
        status: dict[str, Any] = answer.json() if answer.status_code == httpx.codes.OK else {}
        if status.get("status") in TERMINAL or asyncio.get_running_loop().time() > deadline:
            return status
        await asyncio.sleep(_LOOK_SECONDS)
