"""Makes schema `muster` from the SQL files in migrations/, each once, in order. What the tables mean is said there."""

from __future__ import annotations

from importlib.resources import files
from typing import TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"

#: Two trackers that start together make the schema one after the other.
_LOCK = 0x6D757374  # "must"

_PREPARE = """
    CREATE SCHEMA IF NOT EXISTS muster;
    CREATE TABLE IF NOT EXISTS muster.tracker_migrations (
        name text PRIMARY KEY,
        applied_at timestamptz NOT NULL DEFAULT now()
    );
"""


def migrations() -> dict[str, str]:
    """Every migration's SQL by name, in order."""
    folder = files("tracker_service") / "migrations"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return {name: (folder / name).read_text(encoding="utf-8") for name in names}


async def missing(connection: Connection) -> list[str]:
    """Names of the migrations that this database does not have yet."""
    if await connection.fetchval("SELECT to_regclass('muster.tracker_migrations')") is None:
        return list(migrations())
    applied = {row["name"] for row in await connection.fetch("SELECT name FROM muster.tracker_migrations")}
    return [name for name in migrations() if name not in applied]


async def migrate(connection: Connection) -> list[str]:
    """Apply what is missing, all of it or nothing; returns the names."""
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
        await connection.execute(_PREPARE)
        names = await missing(connection)
        for name in names:
            await connection.execute(migrations()[name])
            await connection.execute("INSERT INTO muster.tracker_migrations (name) VALUES ($1)", name)
    return names
