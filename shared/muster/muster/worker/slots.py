"""The slots of one worker: how many tasks run, and waiting until one is free or all have ended.

Tasks that are being handed over are held here too, without a slot: a drain waits for them as well.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from muster.worker.delivery import Delivery


class Slots:
    """At most `capacity` deliveries at a time; the event loop is the only user."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._running: set[Delivery] = set()
        self._surplus: set[Delivery] = set()
        self._changed = asyncio.Event()

    def __iter__(self) -> Iterator[Delivery]:
        return iter((*self._running, *self._surplus))

    @property
    def running(self) -> int:
        return len(self._running)

    @property
    def free(self) -> int:
        return self.capacity - len(self._running)

    def take(self, delivery: Delivery) -> None:
        self._running.add(delivery)

    def take_surplus(self, delivery: Delivery) -> None:
        """Hold a delivery that is being handed over; it takes no slot."""
        self._surplus.add(delivery)

    def release(self, delivery: Delivery) -> None:
        self._running.discard(delivery)
        self._surplus.discard(delivery)
        self._changed.set()

    def wake(self) -> None:
        """Let waiters look again, for a reason of the caller's."""
        self._changed.set()

    async def changed(self) -> None:
        """Return after the next release."""
        self._changed.clear()
        await self._changed.wait()

    async def all_free(self) -> None:
        while self._running or self._surplus:
            await self.changed()
