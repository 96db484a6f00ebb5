"""Remembers what documents said, so that the same bytes are not read twice. Personal data: it is kept for days only."""

import contextlib
import json
from typing import Any

import asyncpg

from rotc.connection import Connection
from rotc.migrate import ensure_schema
from rotc.sql import load

SQL = load("readings")


async def ensure_table(connection: Connection) -> None:
    """Makes the table unless it is there; safe by several at once."""
    if await connection.fetchval(SQL["table_exists"]):
        return
    await ensure_schema(connection)
    # Several workers start at once: the loser of that race finds the table made, which is all it wanted.
    with contextlib.suppress(asyncpg.UniqueViolationError, asyncpg.DuplicateTableError):
        async with connection.transaction():
            await connection.execute(SQL["create_table"])
            await connection.execute(SQL["create_index"])


async def recall(connection: Connection, digest: bytes, language: str, *, days: float) -> Any | None:
    """The reading of these bytes (SHA-256) in this language as it was kept; None when there is none of these days."""
    found = await connection.fetchval(SQL["recall"], digest, language, days)
    return None if found is None else json.loads(found)


async def keep(connection: Connection, digest: bytes, language: str, reading: Any, *, days: float) -> None:
    """Keeps a reading (anything JSON can say), and forgets some that are older than `days`."""
    await connection.execute(SQL["keep"], digest, language, json.dumps(reading))
    await connection.execute(SQL["forget"], days)
