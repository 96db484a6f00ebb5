"""Pools of PostgreSQL connections, one per use. Tables and statements are elsewhere.

The address must lead to PostgreSQL itself, not to a proxy that shares sessions: the tracker listens and holds a lock.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import asyncpg
from muster.contracts.errors import ConfigurationError, StoreError
from muster.settings import Settings
from rotc.connection import portable_dsn

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"

CONNECT_SECONDS = 15.0
#: A statement that takes longer is stuck behind something.
STATEMENT_SECONDS = 30.0


def database_url(settings: Settings) -> str:
    """The tracker's DSN.

    Raises:
        ConfigurationError: none is set.
    """
    if settings.database_url is None:
        raise ConfigurationError(
            "MUSTER_DATABASE_URL (or DATABASE_URL) is not set: name the PostgreSQL that keeps tasks"
        )
    return portable_dsn(settings.database_url.get_secret_value())


async def open_pool(dsn: str, *, max_size: int, durable: bool = True) -> Pool:
    """A pool; its commits wait for the disk unless they are not `durable` (see projection/store.py).

    Raises:
        StoreError: the database cannot be reached.
    """
    options: dict[str, Any] = {"application_name": "muster-tracker", "jit": "off"}
    if not durable:
        options["synchronous_commit"] = "off"
    try:
        pool = await asyncpg.create_pool(
            dsn, min_size=1, max_size=max_size, timeout=CONNECT_SECONDS, command_timeout=STATEMENT_SECONDS,
            server_settings=options, reset=_leave_as_it_is,
        )  # fmt: skip
    except (OSError, ValueError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise StoreError(f"PostgreSQL cannot be reached: {str(error) or type(error).__name__}") from error
    return pool


async def _leave_as_it_is(connection: object) -> None:
    """No statement here changes its session, so none is sent to clean it: that would double the cost of a read."""
