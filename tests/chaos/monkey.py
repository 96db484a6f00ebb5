"""Ends processes of the installation at random and starts them again. What that did to tasks is verdict.py's."""

from __future__ import annotations

import asyncio
import random
import signal
from collections import Counter

from .installation import Installation, Program

#: How often whom: workers hold the tasks.
_WORKERS, _TRACKER = 0.6, 0.8
_KILLED = 0.7
_BUSY = 0.8


class Monkey:
    """Kills until it is told to stop; everything runs when it has stopped."""

    def __init__(self, installation: Installation, dice: random.Random, every: float) -> None:
        self._installation, self._dice, self._every = installation, dice, every
        self._stop = asyncio.Event()
        #: Ends by program kind and signal: "worker SIGKILL".
        self.ends: Counter[str] = Counter()

    @property
    def worker_ends(self) -> int:
        return sum(count for name, count in self.ends.items() if name.startswith("worker"))

    def stop(self) -> None:
        self._stop.set()

    async def run(self) -> None:
        while not self._stop.is_set():
            await self._pause(self._dice.uniform(0.5, 1.5) * self._every)
            if not self._stop.is_set():
                await self._strike()
        self.revive()

    def revive(self) -> int:
        """Start what ended by itself, as a worker that fenced itself does; returns how many."""
        ended = [program for program in self._installation.programs if not program.running]
        for program in ended:
            self.ends[f"{program.name.partition('-')[0]} by itself"] += 1
            program.start()
        return len(ended)

    async def _strike(self) -> None:
        self.revive()
        program = self._victim()
        number = signal.SIGKILL if self._dice.random() < _KILLED else signal.SIGTERM
        self.ends[f"{program.name.partition('-')[0]} {number.name}"] += 1
        await asyncio.to_thread(program.end, number)
        await self._pause(self._dice.choice((0.0, 0.0, 1.0)))
        program.start()

    def _victim(self) -> Program:
        roll = self._dice.random()
        if roll < _WORKERS:
            # One that has begun tasks, most of the time: a worker that has not joined yet has nothing to lose.
            workers = self._installation.workers
            busy = [worker for worker in workers if self._installation.has_run_tasks(worker)]
            return self._dice.choice(busy if busy and self._dice.random() < _BUSY else workers)
        return self._installation.tracker if roll < _TRACKER else self._installation.scheduler

    async def _pause(self, seconds: float) -> None:
        """Wait so long, or until told to stop."""
        try:
            await asyncio.wait_for(self._stop.wait(), seconds or 0.001)
        except TimeoutError:
            return
