"""Which tracker may act for all: the one that holds an advisory lock of PostgreSQL. What it does is recovery.py's."""

from __future__ import annotations

import asyncpg
from muster.contracts.errors import StoreError

from tracker_service.projection.store import UNAVAILABLE

_TRY = "SELECT pg_try_advisory_lock(hashtextextended($1, 0))"
_ANSWER_SECONDS = 5.0


class Leadership:
    """A lock that lives as long as its connection; PostgreSQL frees it when this process dies."""

    def __init__(self, dsn: str, name: str) -> None:
        self._dsn = dsn
        self._name = name
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None
        self._held = False

    async def connection(self) -> asyncpg.Connection[asyncpg.Record] | None:
        """The connection that holds the lock, just seen alive; None while another tracker leads.

        Raises:
            StoreError: the database does not answer; whoever led does so no longer.
        """
        try:
            if self._connection is None or self._connection.is_closed():
                self._held = False
                self._connection = await asyncpg.connect(
                    self._dsn, timeout=_ANSWER_SECONDS, command_timeout=30.0,
                    server_settings={"application_name": "muster-tracker-leader"},
                )  # fmt: skip
            if not self._held:
                self._held = bool(await self._connection.fetchval(_TRY, self._name, timeout=_ANSWER_SECONDS))
            else:
                # A connection that was cut silently has lost its lock without telling.
                await self._connection.fetchval("SELECT 1", timeout=_ANSWER_SECONDS)
        except UNAVAILABLE as error:
            await self.resign()
            raise StoreError(f"leadership is unknown: {str(error) or type(error).__name__}") from error
        return self._connection if self._held else None

    async def resign(self) -> None:
        """Let another tracker lead."""
        connection, self._connection = self._connection, None
        self._held = False
        if connection is not None:
            # Not close(): a dead connection would be waited for, and the lock goes either way.
            connection.terminate()
