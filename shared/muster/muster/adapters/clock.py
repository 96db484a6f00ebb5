"""Clocks: the system's, and one that tests and the simulation move by hand. Deadlines are their users' business."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from datetime import UTC, datetime, timedelta

#: Turns of the event loop after each moment: enough for a chain of tasks and futures to come to rest.
SETTLE_TURNS = 50


class SystemClock:
    """The time of this machine (ports.Clock)."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))


class FakeClock:
    """Time that stands still until `advance` (ports.Clock); sleepers wake in the order of their due times."""

    def __init__(self, start: datetime | None = None) -> None:
        self._start = start or datetime(2026, 1, 1, tzinfo=UTC)
        if self._start.tzinfo is None:
            raise ValueError("a clock starts at an aware instant: give the datetime a time zone")
        self._elapsed = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = itertools.count()

    def now(self) -> datetime:
        return self._start.astimezone(UTC) + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        return self._elapsed

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        wake: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._elapsed + seconds, next(self._order), wake))
        await wake

    @property
    def next_wake(self) -> float | None:
        """Seconds from now until the first sleeper is due; None when nobody sleeps."""
        self._forget_cancelled()
        return self._sleepers[0][0] - self._elapsed if self._sleepers else None

    async def advance(self, seconds: float) -> None:
        """Let `seconds` pass: every sleeper due in them wakes at its own moment and runs as far as it can."""
        target = self._elapsed + seconds
        await settle()
        while self.next_wake is not None and self._sleepers[0][0] <= target:
            self._elapsed = max(self._elapsed, self._sleepers[0][0])
            while self._sleepers and self._sleepers[0][0] <= self._elapsed:
                wake = heapq.heappop(self._sleepers)[2]
                if not wake.done():
                    wake.set_result(None)
            await settle()
        self._elapsed = max(self._elapsed, target)

    def set(self, now: datetime) -> None:
        """Do what an operator or NTP does: the wall clock jumps, while sleepers and `monotonic` go on as before."""
        self._start = now - timedelta(seconds=self._elapsed)

    def _forget_cancelled(self) -> None:
        while self._sleepers and self._sleepers[0][2].done():
            heapq.heappop(self._sleepers)


async def settle(turns: int = SETTLE_TURNS) -> None:
    """Let everything that is ready to run, run."""
    for _ in range(turns):
        await asyncio.sleep(0)
