"""Connections to the database: their type, and how the command line opens one. Pools belong to the services."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeAlias
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from rotc.errors import DatabaseUnreachable

#: What every function of this package takes: a connection of one's own, or one lent by a pool.
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"

CONNECT_TIMEOUT_SECONDS = 15  # a suspended serverless database needs a few seconds to wake up

# libpq options hosts put into the address they hand out, which asyncpg would pass on as server settings.
UNKNOWN_TO_ASYNCPG = frozenset({"channel_binding"})


def portable_dsn(dsn: str) -> str:
    """The same address without the options that asyncpg does not know."""
    parts = urlsplit(dsn)
    options = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0] not in UNKNOWN_TO_ASYNCPG]
    return urlunsplit(parts._replace(query=urlencode(options)))


@asynccontextmanager
async def connected(dsn: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """A connection for the length of a block.

    Raises: DatabaseUnreachable, whose text never has the password in it.
    """
    # Prepared statements are not cached: behind a pooling proxy they would belong to somebody else's session.
    try:
        connection = await asyncpg.connect(portable_dsn(dsn), timeout=CONNECT_TIMEOUT_SECONDS, statement_cache_size=0)
    except (OSError, ValueError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        reason = str(error) or type(error).__name__
        raise DatabaseUnreachable(f"Cannot connect to the database of DATABASE_URL: {reason}") from error
    try:
        yield connection
    finally:
        await connection.close()
