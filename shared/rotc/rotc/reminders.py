"""Reminds cadets of a training day and forgets notifications that were read long ago. Mail and push are not here."""

from __future__ import annotations

from rotc.connection import Connection
from rotc.errors import UnknownEntity
from rotc.sql import load

SQL = load("reminders")
NOTIFICATION = "attendance_reminder"


async def remind_cadets(connection: Connection, training_day_id: int) -> int:
    """One row for each approved account of a cadet who is not archived; returns how many.

    Raises: UnknownEntity.
    """
    day = await connection.fetchrow(SQL["training_day"], training_day_id)
    if day is None:
        raise UnknownEntity("training day", training_day_id)
    place = f" at {day['location']}" if day["location"] else ""
    message = f"Reminder: {day['title']} is on {day['date']:%A, %d %B %Y}{place}."
    return int(await connection.fetchval(SQL["remind_cadets"], message, NOTIFICATION))


async def delete_read(connection: Connection, days: int, batch: int) -> int:
    """At most `batch` notifications that were read and are older than `days`, the oldest first; returns how many."""
    return int(await connection.fetchval(SQL["delete_read"], days, batch))
