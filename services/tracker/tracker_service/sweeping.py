"""Removes payloads that nobody will ask for again, one tracker at a time. What garbage is: contracts/claim_check.py.

The order is the proof: keys first, then the projection passes everything that was written before, then it is asked. A
payload is in the store before its record is in Kafka, so the record of every key seen is known by then, or was never
written; and one whose record is still to come is younger than the grace in its key.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, timedelta

from muster.contracts.claim_check import Standing, is_garbage
from muster.contracts.errors import BrokerError, PayloadUnavailable, StoreError
from muster.contracts.states import TaskState
from muster.observability.logging import get_logger
from muster.observability.metrics import PAYLOADS_REMOVED
from muster.ports import Clock, PayloadStore
from muster.settings import ClaimCheckSettings

from tracker_service.database import Pool
from tracker_service.projection.store import UNAVAILABLE
from tracker_service.recovery.barrier import Barrier
from tracker_service.recovery.leadership import Leadership

ROUND_SECONDS = 3600.0
#: A tracker that has just come up lets its projection catch up first.
FIRST_SECONDS = 60.0
#: Tasks asked for, and payloads removed, at a time.
CHUNK = 1000
_STANDING = "SELECT task_id, state, finished_at FROM muster.tasks WHERE task_id = ANY($1::text[])"

_log = get_logger(__name__)


class Sweeping:
    """The sweep of one installation; only the leader's rounds do anything."""

    def __init__(
        self,
        store: PayloadStore,
        pool: Pool,
        leadership: Leadership,
        barrier: Barrier,
        settings: ClaimCheckSettings,
        clock: Clock,
    ) -> None:
        self._store = store
        self._pool = pool
        self._leadership = leadership
        self._barrier = barrier
        self._clock = clock
        self._kept = timedelta(days=settings.keep_days)

    async def run(self) -> None:
        """Sweep once an hour until cancelled."""
        await self._barrier.start()
        try:
            await self._sweep_hourly()
        finally:
            await self._barrier.stop()

    async def _sweep_hourly(self) -> None:
        await self._clock.sleep(FIRST_SECONDS)
        while True:
            try:
                if await self._leadership.connection() is not None:
                    await self.round()
            except (BrokerError, StoreError, PayloadUnavailable, *UNAVAILABLE) as error:
                _log.warning("A sweep of payloads failed", action="payloads.sweep_failed", error=str(error))
            finally:
                # The lock is for the round: an idle connection for an hour would be one more to lose.
                await self._leadership.resign()
            await self._clock.sleep(ROUND_SECONDS)

    async def round(self) -> int:
        """Remove what is garbage now; how many payloads that were.

        Raises:
            BrokerError: the projection is behind; nothing may be judged.
            PayloadUnavailable: the store does not answer.
        """
        keys = await self._store.keys(before=self._clock.now().astimezone(UTC).date())
        if not keys:
            return 0
        async with self._pool.acquire() as connection:
            await self._barrier.pass_in(connection)
        removed = 0
        for start in range(0, len(keys), CHUNK):
            chunk = keys[start : start + CHUNK]
            standings = await self._standings({key.task_id for key in chunk})
            now = self._clock.now()
            garbage = [key for key in chunk if is_garbage(key, standings.get(key.task_id), now=now, kept=self._kept)]
            await self._store.remove(garbage)
            removed += len(garbage)
        PAYLOADS_REMOVED.inc(removed)
        _log.info("Swept payloads", action="payloads.swept", looked_at=len(keys), removed=removed)
        return removed

    async def _standings(self, task_ids: Collection[str]) -> dict[str, Standing]:
        rows = await self._pool.fetch(_STANDING, list(task_ids))
        return {row["task_id"]: Standing(TaskState(row["state"]), row["finished_at"]) for row in rows}
