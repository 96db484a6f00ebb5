"""Deletes old audit rows and processed events, a batch at a time. How often, and how old, is the caller's decision."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from rotc.connection import Connection
from rotc.sql import load

SQL = load("cleanup")


class Old(StrEnum):
    """What can be cleaned up; the value is the table."""

    AUDIT_LOGS = "audit_logs"
    SYNC_EVENTS = "sync_events"


_DELETE = {Old.AUDIT_LOGS: "delete_audit_logs", Old.SYNC_EVENTS: "delete_sync_events"}
_COUNT = {Old.AUDIT_LOGS: "count_audit_logs", Old.SYNC_EVENTS: "count_sync_events"}


async def count_old(connection: Connection, what: Old, before: datetime) -> int:
    """How many rows from before an instant may be deleted; of events, those that were processed."""
    counted: int = await connection.fetchval(SQL[_COUNT[what]], before)
    return counted


async def delete_old(connection: Connection, what: Old, before: datetime, *, most: int) -> int:
    """Deletes the oldest of them, at most so many; returns how many."""
    status = await connection.execute(SQL[_DELETE[what]], before, most)
    return int(status.rpartition(" ")[2])
