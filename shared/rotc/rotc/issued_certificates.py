"""The certificates that were issued, found by their code. Lies in schema `muster`: the backend has no such table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import asyncpg

from rotc.certificates import Certificate, is_genuine
from rotc.connection import Connection
from rotc.sql import load

SQL = load("certificates")
#: Several workers start at once, and CREATE ... IF NOT EXISTS is not safe against itself. Any constant will do.
_SCHEMA_LOCK = 7_306_027


async def ensure(connection: Connection) -> None:
    """Create the table where it is missing."""
    async with connection.transaction():
        await connection.execute(SQL["lock_schema"], _SCHEMA_LOCK)
        await connection.execute(SQL["create_schema"])
        await connection.execute(SQL["create_table"])


async def remember(connection: Connection, code: str, certificate: Certificate) -> None:
    """Write down what a code stands for; the same certificate issued again keeps its first date."""
    await connection.execute(
        SQL["remember"], code, certificate.activity_id, certificate.activity_title, certificate.activity_date,
        certificate.cadet_name,
    )  # fmt: skip


async def find(connection: Connection, code: str, keys: Sequence[bytes]) -> tuple[Certificate, datetime] | None:
    """The certificate behind a code (as `normal_code` gives it) and when it was issued; None when there is none."""
    try:
        row = await connection.fetchrow(SQL["find"], code)
    except asyncpg.UndefinedTableError:  # no certificate was ever issued here
        return None
    if row is None:
        return None
    certificate = Certificate(row["activity_id"], row["activity_title"], row["activity_date"], row["cadet_name"])
    return (certificate, row["issued_at"]) if is_genuine(certificate, code, keys) else None
