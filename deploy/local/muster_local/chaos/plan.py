"""What one run of chaos shall do, and who can be struck. Pure: the striking is monkey.py's."""

from __future__ import annotations

import random
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class Target(StrEnum):
    """Whom a strike hits."""

    WORKER = "worker"
    TRACKER = "tracker"
    SCHEDULER = "scheduler"
    BROKER = "broker"
    #: A further worker joins or leaves the group: all partitions are dealt out anew.
    MEMBERS = "members"


@dataclass(frozen=True)
class Plan:
    """Times in seconds."""

    tasks: int = 20_000
    #: Over which tasks are submitted and faults happen.
    seconds: float = 120.0
    kill_every: float = 3.0
    workers: int = 3
    slots: int = 32
    #: A worker silent this long is dead; the default is the product's own.
    lease: float = 30.0
    seed: int = 0
    spared: frozenset[Target] = frozenset()

    @property
    def farthest(self) -> float:
        """The longest countdown: long enough to outlast a fault, short beside the run."""
        return max(3.0, self.seconds / 6)

    def times(self) -> dict[str, str]:
        """Beat, fence and lease in the proportions of the defaults, and a grace that ends tasks unfinished."""
        return {
            "MUSTER_BEAT_SECONDS": f"{self.lease / 15:g}", "MUSTER_FENCE_SECONDS": f"{self.lease * 2 / 3:g}",
            "MUSTER_LEASE_SECONDS": f"{self.lease:g}", "MUSTER_GRACE_SECONDS": "0.5",
        }  # fmt: skip

    def bound_of_extra_runs(self, worker_ends: int, moves: int, broker_ends: int) -> int:
        """A worker runs at most its slots once more when it ends, and when a move or an outage refuses its commits."""
        return self.slots * (worker_ends + (moves + broker_ends) * (self.workers + 1))


#: Strikes of one round: workers hold the tasks.
_ROUND = {
    Target.WORKER: 9, Target.TRACKER: 3, Target.SCHEDULER: 3, Target.BROKER: 2, Target.MEMBERS: 4,
}  # fmt: skip
_SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM)


def strikes(dice: random.Random, spared: frozenset[Target] = frozenset()) -> Iterator[tuple[Target, signal.Signals]]:
    """For ever: first each target once, then rounds in a drawn order; every target meets both signals."""
    signals = {target: _dealt(dice) for target in Target}
    deck = [target for target in _ROUND if target not in spared]
    while deck:
        dice.shuffle(deck)
        for target in deck:
            yield target, next(signals[target])
        deck = [target for target, count in _ROUND.items() if target not in spared for _ in range(count)]


def _dealt(dice: random.Random) -> Iterator[signal.Signals]:
    while True:
        yield from dice.sample(_SIGNALS, len(_SIGNALS))
