"""Decides which workers are dead. Pure: who reads beats, and what a death means for tasks, is elsewhere."""

from __future__ import annotations


class DeathClock:
    """Time that passes only while the tracker's own beats come back through Kafka.

    When the broker is away nobody's beats arrive, ours included, so nobody dies of it. A worker that this clock never
    saw, as after a restart of the tracker, gets a full lease from the moment it is first asked about.
    """

    def __init__(self, *, lease: float, longest_step: float) -> None:
        """`lease`: silence that means death; `longest_step`: what one own beat may add; both in seconds."""
        self._lease = lease
        self._longest_step = longest_step
        self._time = 0.0
        self._last_return: float | None = None
        self._seen: dict[str, float] = {}
        self._left: set[str] = set()

    @property
    def lease(self) -> float:
        return self._lease

    def own_beat_returned(self, monotonic: float) -> None:
        if self._last_return is not None:
            self._time += min(max(0.0, monotonic - self._last_return), self._longest_step)
        self._last_return = monotonic

    def beat(self, worker: str, *, leaving: bool) -> None:
        """A worker's sign of life. Its last one, `leaving`, comes after it has handed everything back."""
        self._seen[worker] = self._time
        if leaving:
            self._left.add(worker)
        else:
            self._left.discard(worker)

    def is_dead(self, worker: str) -> bool:
        seen = self._seen.setdefault(worker, self._time)
        return worker in self._left or self._time - seen >= self._lease

    def forget(self, keep: frozenset[str]) -> None:
        """Drop workers that have been dead for ten leases and hold no claim, so that the memory stays bounded."""
        gone = [name for name, at in self._seen.items() if self._time - at > 10 * self._lease and name not in keep]
        for name in gone:
            del self._seen[name]
            self._left.discard(name)
