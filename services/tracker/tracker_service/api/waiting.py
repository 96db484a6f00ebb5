"""Lets requests wait until a task has ended. One query serves all who wait; nobody asks the database in a loop."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import asyncpg
from muster.observability.logging import get_logger

from tracker_service.database import Pool
from tracker_service.projection.store import ENDED_CHANNEL, UNAVAILABLE

#: Notices can be lost with the connection that listens; so it is looked at least this often while somebody waits.
LOOK_SECONDS = 5.0
_ENDED = "SELECT task_id FROM muster.tasks WHERE task_id = ANY($1::text[]) AND finished_at IS NOT NULL"

_log = get_logger(__name__)


class Waiting:
    """Everybody who waits for a task; woken by the projection of any tracker through LISTEN/NOTIFY."""

    def __init__(self, pool: Pool, dsn: str) -> None:
        self._pool = pool
        self._dsn = dsn
        self._waiters: dict[str, set[asyncio.Event]] = {}
        self._noticed = asyncio.Event()
        self._closing = False

    def close(self) -> None:
        """Let everybody go, and nobody wait any more: the process drains."""
        self._closing = True
        for events in self._waiters.values():
            for event in events:
                event.set()

    async def ended(self, task_id: str, seconds: float) -> None:
        """Return when the task has ended, or after `seconds`."""
        if self._closing:
            return
        event = asyncio.Event()
        self._waiters.setdefault(task_id, set()).add(event)
        # It may have ended before we listened.
        self._noticed.set()
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await event.wait()
        finally:
            others = self._waiters[task_id]
            others.discard(event)
            if not others:
                del self._waiters[task_id]

    async def run(self) -> None:
        """Serve those who wait, until cancelled."""
        listener: asyncpg.Connection[asyncpg.Record] | None = None
        try:
            while True:
                try:
                    if listener is None or listener.is_closed():
                        listener = await asyncpg.connect(self._dsn, timeout=LOOK_SECONDS)
                        await listener.add_listener(ENDED_CHANNEL, self._notice)
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self._noticed.wait(), LOOK_SECONDS)
                    self._noticed.clear()
                    if self._waiters:
                        await self._wake()
                except UNAVAILABLE as error:
                    _log.warning("Cannot listen for ended tasks", action="waiting.failed", error=str(error))
                    await asyncio.sleep(1.0)
        finally:
            if listener is not None:
                listener.terminate()

    def _notice(self, *_: Any) -> None:
        self._noticed.set()

    async def _wake(self) -> None:
        for row in await self._pool.fetch(_ENDED, list(self._waiters)):
            for event in self._waiters.get(row["task_id"], ()):
                event.set()
