"""The demo's push: a cadet's browser subscribes, is told something, and shows what it could read. Starts no part."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import asyncpg
import httpx
from rich.console import Console

from muster_local.errors import LocalError
from muster_local.tracked import TERMINAL, api, first_admin

_LOOKS = 4
_WAIT_SECONDS = 20
#: Somebody who wants pushes and has no browser yet, so that the counts are the same each time.
_CADET = """
SELECT min(u.id) FROM users u LEFT JOIN user_settings s ON s.user_id = u.id
WHERE u.role = 'cadet' AND u.is_approved AND coalesce(s.push_notifications, true)
    AND NOT EXISTS (SELECT FROM push_subscriptions p WHERE p.user_id = u.id)
"""
_PUSH = {
    "title": "Formation on Saturday",
    "message": "0600 at the parade ground – bring your name tag.",
    "data": {"url": "/training-days", "requireInteraction": True},
}


def run_push_job(env: Mapping[str, str], console: Console) -> int:
    """Print the push as the browser read it; returns the exit code, 0 when it is the one that was sent."""
    console.print("\nPushing to 2 browsers of a cadet, of which one is gone ...")
    result, messages = asyncio.run(_job(env))
    for message in messages:
        console.print_json(data=message["payload"])
    bodies = [message["payload"].get("body") for message in messages]
    told = result == {"sent": 1, "failed": 0, "expired_subscriptions": 1} and bodies == [_PUSH["message"]]
    said = "1 push arrived encrypted and was read by its browser" if told else f"The push went wrong: {result}"
    console.print(f"{said}; {env['PUSH_SERVICE_URL']}/messages shows what arrives.", soft_wrap=True)
    return 0 if told else 1


async def _job(env: Mapping[str, str]) -> tuple[Any, list[dict[str, Any]]]:
    database = await asyncpg.connect(env["DATABASE_URL"])
    try:
        admin = await first_admin(database)
        cadet = await database.fetchval(_CADET)
    finally:
        await database.close()
    if cadet is None:
        raise LocalError("The database has no cadet to push to: run `python -m rotc demo` on it.")
    async with (
        api(env, admin) as as_admin,
        api(env, int(cadet)) as as_cadet,
        httpx.AsyncClient(base_url=env["PUSH_SERVICE_URL"], trust_env=False, timeout=30) as service,
    ):
        there, gone = await _subscribe(as_cadet, service)
        await service.put(f"/subscriptions/{gone['id']}/answer", json={"status": 410})
        result = await _tell(as_admin, int(cadet))
        arrived = await service.get("/messages", params={"browser": there["id"]})
        # A demo that runs again leaves no browsers behind, so that each says the same.
        await as_cadet.post("/api/notifications/unsubscribe", json={"endpoint": there["endpoint"]})
    return result, arrived.json()["messages"]


async def _subscribe(as_cadet: httpx.AsyncClient, service: httpx.AsyncClient) -> list[dict[str, Any]]:
    """As a page does it: the API's key, two browsers of the push service, and both told to the API."""
    key = (await as_cadet.get("/api/notifications/vapid-key")).raise_for_status().json()["publicKey"]
    asked = await service.post("/subscriptions", json={"count": 2, "application_server_key": key})
    browsers: list[dict[str, Any]] = asked.raise_for_status().json()["subscriptions"]
    for browser in browsers:
        body = {"endpoint": browser["endpoint"], "expirationTime": None, "keys": browser["keys"]}
        answer = await as_cadet.post("/api/notifications/subscribe", json=body)
        if answer.status_code != httpx.codes.CREATED:
            raise LocalError(f"The API did not take a browser: {answer.status_code} {answer.text[:500]}")
    return browsers


async def _tell(as_admin: httpx.AsyncClient, user_id: int) -> Any:
    """The result of the task that pushes."""
    body = {"name": "send_push_notification", "parameters": {"user_id": user_id, **_PUSH}}
    answer = await as_admin.post("/api/tasks", json=body)
    if answer.status_code != httpx.codes.ACCEPTED:
        raise LocalError(f"The API did not take the push: {answer.status_code} {answer.text[:500]}")
    task_id, status = answer.json()["task_id"], {}
    for _ in range(_LOOKS):
        status = (await as_admin.get(f"/api/tasks/{task_id}", params={"wait": _WAIT_SECONDS})).json()
        if status.get("status") in TERMINAL:
            break
    return status.get("result") or status.get("error") or status.get("status")
