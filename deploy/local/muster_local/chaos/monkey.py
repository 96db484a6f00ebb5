"""Ends processes of the installation by plan and starts them again. What that did to tasks is verdict.py's."""

from __future__ import annotations

import asyncio
import random
import signal
from collections import Counter

from muster.bootstrap import EXIT_FENCED

from muster_local.chaos.installation import Installation, Program
from muster_local.chaos.plan import Plan, Target, strikes

#: How often one is struck that has begun tasks: a worker that has not joined yet has nothing to lose.
_BUSY = 0.8
FENCED, UNREADY, GAVE_UP = "fenced itself", "ended at its start", "gave up"


class Monkey:
    """Strikes until it is told to stop; everything runs when it has stopped."""

    def __init__(self, installation: Installation, plan: Plan, dice: random.Random) -> None:
        self._installation, self._plan, self._dice = installation, plan, dice
        self._stop = asyncio.Event()
        #: What happened to whom, and how often: ("worker", "SIGKILL").
        self.ends: Counter[tuple[str, str]] = Counter()
        self.broker_away = 0.0

    @property
    def worker_ends(self) -> int:
        """Also of those that left the group again."""
        return self._count("worker") + self.ends["members", "left"]

    @property
    def moves(self) -> int:
        return self._count("members")

    @property
    def broker_ends(self) -> int:
        return self._count("broker")

    @property
    def gave_up(self) -> int:
        """Programs that were at work and ended by themselves, other than by their fence."""
        return sum(count for (_, how), count in self.ends.items() if how == GAVE_UP)

    def stop(self) -> None:
        self._stop.set()

    async def run(self) -> None:
        for target, number in strikes(self._dice, self._plan.spared):
            await self._pause(self._dice.uniform(0.5, 1.5) * self._plan.kill_every)
            if self._stop.is_set():
                break
            self.revive()
            await self._strike(target, number)
        self.revive()

    def revive(self) -> None:
        """Start what ended by itself, as every supervisor does."""
        for program in self._installation.programs:
            if not program.running:
                self.ends[program.kind, _reason(program)] += 1
                program.start()

    async def _strike(self, target: Target, number: signal.Signals) -> None:
        if target is Target.MEMBERS:
            self.ends[target, await asyncio.to_thread(self._installation.move)] += 1
            return
        self.ends[target, number.name] += 1
        if target is Target.BROKER:
            self.broker_away += await asyncio.to_thread(self._installation.restart_broker, number)
            return
        program = self._victim(target)
        await asyncio.to_thread(program.end, number)
        await self._pause(self._dice.choice((0.0, 0.0, 1.0)))
        program.start()

    def _victim(self, target: Target) -> Program:
        if target is not Target.WORKER:
            return self._installation.tracker if target is Target.TRACKER else self._installation.scheduler
        workers = self._installation.workers
        busy = [worker for worker in workers if self._installation.has_run_tasks(worker)]
        return self._dice.choice(busy if busy and self._dice.random() < _BUSY else workers)

    def _count(self, who: str) -> int:
        return sum(count for (name, _), count in self.ends.items() if name == who)

    async def _pause(self, seconds: float) -> None:
        """Wait so long, or until told to stop."""
        try:
            await asyncio.wait_for(self._stop.wait(), seconds or 0.001)
        except TimeoutError:
            return


def _reason(program: Program) -> str:
    if program.exit_code == EXIT_FENCED and program.kind == Target.WORKER:
        return FENCED
    return GAVE_UP if program.was_up else UNREADY
