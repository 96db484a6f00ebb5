"""Writes notifications that the app lists, and the audit row of a report. Mail and push are the notify service's."""

from __future__ import annotations

from typing import Any

from rotc.connection import Connection
from rotc.sql import load

SQL = load("notifications")


async def notify_user(connection: Connection, user_id: int, message: str, kind: str) -> None:
    """One row for this users.id; kind: notifications.type, at most 50 characters."""
    await connection.execute(SQL["notify_user"], user_id, message, kind)


async def notify_approved_admins(connection: Connection, message: str, kind: str) -> None:
    """One row for every approved admin."""
    await connection.execute(SQL["notify_approved_admins"], message, kind)


async def audit_report(connection: Connection, user_id: int | None, payload: dict[str, Any]) -> None:
    """Note that a report was made; user_id: users.id of who asked, None for the schedule."""
    await connection.execute(SQL["audit_report"], user_id, payload)
