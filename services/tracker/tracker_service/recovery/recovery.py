"""Finds tasks that dead workers had accepted and has them run again. One tracker at a time does this.

The order (a) committed offsets, (b) end offsets, (c) the projection passes them, (d) look and judge is the proof of
contracts/recovery.py: STARTED is acknowledged before its offset is committed, so whoever accepted a task is visible by
(d). Before (a) this tracker takes the fence: what it or any other leader wrote is behind the barrier then, or void, so
no task is brought back twice for one death.
"""

from __future__ import annotations

import asyncpg
from muster.contracts.errors import BrokerError, StoreError
from muster.contracts.recovery import Verdict, judge
from muster.contracts.topics import Topics
from muster.observability.logging import get_logger
from muster.observability.metrics import WORKERS_LOST
from muster.ports import Admin, Clock, Position

from tracker_service.projection.store import UNAVAILABLE
from tracker_service.recovery import claims
from tracker_service.recovery.barrier import Barrier
from tracker_service.recovery.death_clock import DeathClock
from tracker_service.recovery.fence import Fence
from tracker_service.recovery.leadership import Leadership
from tracker_service.recovery.redelivery import Lost, Redelivery
from tracker_service.recovery.revocations import Revocations

ROUND_SECONDS = 1.0
#: A round that found nothing to do is not repeated at once for the same dead: long tasks may keep them company.
QUIET_SECONDS = 5.0

_log = get_logger(__name__)


class Recovery:
    """The recovery of one installation; only the leader's rounds do anything."""

    def __init__(
        self,
        admin: Admin,
        barrier: Barrier,
        fence: Fence,
        redelivery: Redelivery,
        revocations: Revocations,
        leadership: Leadership,
        death: DeathClock,
        topics: Topics,
        clock: Clock,
    ) -> None:
        self._admin = admin
        self._barrier = barrier
        self._fence = fence
        self._revocations = revocations
        self._redelivery = redelivery
        self._leadership = leadership
        self._death = death
        self._topics = topics
        self._clock = clock
        self._known_dead: frozenset[str] = frozenset()
        self._quiet_until = 0.0

    async def run(self) -> None:
        """Look for lost tasks until cancelled."""
        await self._barrier.start()
        try:
            while True:
                try:
                    connection = await self._leadership.connection()
                    if connection is not None:
                        await self.round(connection)
                        await self._revocations.round(connection)
                except (BrokerError, StoreError, *UNAVAILABLE) as error:
                    _log.warning("A round of recovery failed", action="recovery.failed", error=str(error))
                await self._clock.sleep(ROUND_SECONDS)
        finally:
            await self._barrier.stop()
            await self._fence.drop()
            await self._leadership.resign()

    async def round(self, connection: asyncpg.Connection[asyncpg.Record]) -> int:
        """Judge the tasks of every dead worker; returns how many were brought back or given up."""
        holders = await claims.open_workers(connection)
        dead = frozenset(worker for worker in holders if self._death.is_dead(worker))
        self._death.forget(keep=holders)
        if not dead and not await claims.any_abandoned(connection):
            return 0
        if dead <= self._known_dead and self._clock.monotonic() < self._quiet_until:
            return 0
        for worker in sorted(dead - self._known_dead):
            WORKERS_LOST.labels(worker.partition("@")[0]).inc()
            _log.warning("A worker is gone while it holds tasks", action="recovery.worker_lost", worker=worker)
        self._known_dead = dead
        lost = await self._judge(connection, dead)
        if lost:
            await self._redelivery.settle(lost)
        else:
            self._quiet_until = self._clock.monotonic() + QUIET_SECONDS
        return len(lost)

    async def _judge(self, connection: asyncpg.Connection[asyncpg.Record], dead: frozenset[str]) -> list[Lost]:
        await self._fence.take()
        services = {self._topics.service_of_lane(topic) for topic in await claims.claimed_topics(connection, dead)}
        committed: dict[tuple[str, int], int] = {}
        for service in sorted(service for service in services if service):
            offsets = await self._admin.committed(self._topics.group(service))  # (a)
            committed |= {(p.topic, p.partition): offset for p, offset in offsets.items()}
        await self._barrier.pass_in(connection)  # (b) and (c)
        lost: list[Lost] = []
        for suspect in await claims.suspects(connection, dead):  # (d)
            verdict = judge(suspect.claims, dead=dead, committed=committed)
            if verdict is Verdict.LOST:
                accepted = next(c for c in suspect.claims if c.offset < committed.get((c.topic, c.partition), 0))
                lost.append(Lost(suspect, Position(accepted.topic, accepted.partition, accepted.offset)))
        return lost
