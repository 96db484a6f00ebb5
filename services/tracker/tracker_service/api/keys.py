"""API keys of machines: making, revoking and finding them. Which scope allows what is callers.py's."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from typing import TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"

#: read: every task; submit: new tasks; act: new tasks for a person, with that person's rights; admin: everything.
SCOPES = ("read", "submit", "act", "admin")
_PREFIX = "mk_"


async def create_key(connection: Connection, name: str, scopes: Sequence[str]) -> str:
    """A new key, in clear for the only time.

    Raises:
        ValueError: the name is taken or empty, or a scope is unknown.
    """
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown or not scopes:
        raise ValueError(f"scopes are {', '.join(SCOPES)}; got {', '.join(unknown) or 'none'}")
    if not name.strip() or len(name) > 100:
        raise ValueError("a key needs a name of 1 to 100 characters: who uses it")
    key = _PREFIX + secrets.token_urlsafe(32)
    try:
        await connection.execute(
            "INSERT INTO muster.api_keys (name, key_hash, scopes) VALUES ($1, $2, $3)", name, digest(key), list(scopes)
        )
    except asyncpg.UniqueViolationError as error:
        raise ValueError(f"there is a key named {name!r} already: revoke it, or choose another name") from error
    return key


async def revoke_key(connection: Connection, name: str) -> bool:
    """False when there is no such key in force."""
    done = await connection.execute(
        "UPDATE muster.api_keys SET revoked_at = now() WHERE name = $1 AND revoked_at IS NULL", name
    )
    return done == "UPDATE 1"


async def find_key(connection: Connection, key: str) -> tuple[str, frozenset[str]] | None:
    """Name and scopes of a key in force."""
    row = await connection.fetchrow(
        "SELECT name, scopes FROM muster.api_keys WHERE key_hash = $1 AND revoked_at IS NULL", digest(key)
    )
    return (row["name"], frozenset(row["scopes"])) if row else None


async def list_keys(connection: Connection) -> list[asyncpg.Record]:
    return await connection.fetch("SELECT name, scopes, created_at, revoked_at FROM muster.api_keys ORDER BY 3")


def digest(key: str) -> bytes:
    # 256 random bits need no slow hash.
    return hashlib.sha256(key.encode()).digest()
