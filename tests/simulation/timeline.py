"""Simulated time: a queue of what happens next, and processes that die, freeze and have wrong clocks.

Knows nothing of tasks. Everything random is drawn from the schedule's own generator, so a seed is a schedule.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

Act = Callable[[], None]
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


class Timeline:
    """Acts in the order of their time; `now` in seconds since the begin."""

    def __init__(self, seed: int) -> None:
        self.now = 0.0
        self.random = random.Random(seed)
        self._queue: list[tuple[float, int, Act]] = []
        self._order = 0

    def at(self, instant: float, act: Act) -> None:
        self._order += 1
        heapq.heappush(self._queue, (max(instant, self.now), self._order, act))

    def after(self, seconds: float, act: Act) -> None:
        self.at(self.now + seconds, act)

    def run(self, until: float, finished: Callable[[], bool]) -> None:
        while self._queue and self._queue[0][0] <= until and not finished():
            self.now, _, act = heapq.heappop(self._queue)
            act()


class Process:
    """What a process of the operating system can suffer. Its own acts wait while it is frozen and die with it."""

    def __init__(self, timeline: Timeline, name: str) -> None:
        self.timeline = timeline
        self.name = name
        self.alive = True
        self.frozen_until = 0.0
        #: How far its wall clock is off, in seconds; its monotonic clock is always right.
        self.clock_error = timeline.random.uniform(-0.5, 0.5)

    @property
    def awake(self) -> bool:
        return self.alive and self.frozen_until <= self.timeline.now

    def wall(self) -> datetime:
        return EPOCH + timedelta(seconds=self.timeline.now + self.clock_error)

    def later(self, seconds: float, act: Act) -> None:
        self.timeline.after(seconds, lambda: self._fire(act))

    def freeze(self, seconds: float) -> None:
        self.frozen_until = max(self.frozen_until, self.timeline.now + seconds)

    def die(self) -> None:
        self.alive = False

    def _fire(self, act: Act) -> None:
        if not self.alive:
            return
        if self.frozen_until > self.timeline.now:
            # What was due while it was frozen happens when it wakes, in the old order.
            self.timeline.at(self.frozen_until, lambda: self._fire(act))
            return
        act()
