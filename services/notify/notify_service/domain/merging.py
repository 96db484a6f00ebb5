"""Puts records of several partitions in the order of their times, however Kafka hands them out. Pure.

What comes out depends on what lies in the partitions alone: a restart in the middle gives the same order again.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Hashable
from datetime import datetime
from typing import Generic, NamedTuple, TypeVar

P = TypeVar("P", bound=Hashable)
T = TypeVar("T")


class Held(NamedTuple, Generic[P, T]):
    """One record: a partition's times never go back here, as its offsets never do."""

    at: datetime
    partition: P
    offset: int
    item: T


class Merge(Generic[P, T]):
    """Holds a record back until no partition can have an older one."""

    def __init__(self, partitions: Collection[P]) -> None:
        self._queues: dict[P, list[Held[P, T]]] = {partition: [] for partition in partitions}
        self._reached: dict[P, datetime] = {}

    def __len__(self) -> int:
        return sum(map(len, self._queues.values()))

    def add(self, partition: P, offset: int, at: datetime, item: T) -> None:
        """Records of one partition come in the order of their offsets."""
        at = max(at, self._reached.get(partition, at))
        self._reached[partition] = at
        self._queues[partition].append(Held(at, partition, offset, item))

    def hungry(self, caught_up: Collection[P], limit: int) -> list[P]:
        """Partitions to read on: all, but once `limit` records wait in memory, not those that are ahead of others."""
        if len(self) < limit:
            return list(self._queues)
        behind = {p: self._reached.get(p) for p in self._queues if p not in caught_up}
        slowest = min((at for at in behind.values() if at is not None), default=None)
        return [p for p in self._queues if p in caught_up or behind[p] in (None, slowest)]

    def ready(self, caught_up: Collection[P], now: datetime) -> tuple[list[Held[P, T]], datetime | None]:
        """What can be taken now, in order, and the time before which nothing can come any more; None: not known.

        `caught_up`: partitions that were read to the ends they had at `now`.
        """
        behind = [self._reached.get(partition) for partition in self._queues if partition not in caught_up]
        if None in behind:
            return [], None
        until = min((at for at in behind if at is not None), default=None)
        ahead = [self._take(queue, until) for queue in self._queues.values()]
        taken = list(heapq.merge(*ahead, key=lambda held: (held.at, str(held.partition), held.offset)))
        return taken, until if until is not None else now

    def _take(self, queue: list[Held[P, T]], until: datetime | None) -> list[Held[P, T]]:
        # Of the same instant, more may come: it waits with its like.
        count = len(queue) if until is None else sum(1 for held in queue if held.at < until)
        taken, queue[:] = queue[:count], queue[count:]
        return taken
