"""The records of one shard that wait in memory for the instant at which they can go on. Pure."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from itertools import count

from scheduler_service.wheel import Traveller

#: Memory of one shard. Everything in it is uncommitted, so a crash only means to read it again.
MOST_RECORDS = 10_000
MOST_BYTES = 64 * 1024 * 1024


class Waiting:
    """A queue ordered by the instant; what came first leaves first among equals."""

    def __init__(self) -> None:
        self._queue: list[tuple[float, int, Traveller]] = []
        self._bytes = 0
        self._order = count()

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def full(self) -> bool:
        return len(self._queue) >= MOST_RECORDS or self._bytes >= MOST_BYTES

    @property
    def soonest(self) -> float:
        """The instant of the first one; infinite when nothing waits."""
        return self._queue[0][0] if self._queue else float("inf")

    def add(self, traveller: Traveller, until: float) -> None:
        self._bytes += _size(traveller)
        heapq.heappush(self._queue, (until, next(self._order), traveller))

    def take(self, now: float, *, most: int, most_bytes: int) -> Iterator[Traveller]:
        """Those whose instant has come, out of the queue: at most `most` of them and about `most_bytes` together."""
        taken = taken_bytes = 0
        while self.soonest <= now and taken < most and taken_bytes < most_bytes:
            traveller = heapq.heappop(self._queue)[2]
            self._bytes -= _size(traveller)
            taken, taken_bytes = taken + 1, taken_bytes + _size(traveller)
            yield traveller


def _size(traveller: Traveller) -> int:
    return len(traveller.record.value or b"")
