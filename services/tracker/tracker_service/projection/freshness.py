"""How old the projection may be: what `as_of` and the lag in answers, health and metrics mean. No I/O."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from muster.observability.metrics import PROJECTION_LAG
from muster.ports import Clock


class Freshness:
    """Up to when everything that was written to Kafka has been folded, as far as this tracker knows."""

    def __init__(self, clock: Clock, *, patience: float) -> None:
        """`patience`: seconds without a sign of life from Kafka after which nothing is taken for fresh."""
        self._clock = clock
        self._patience = timedelta(seconds=patience)
        self._newest = clock.now()  # until the first batch tells better
        self._caught_up = False
        self._heard = clock.now()

    def folded(self, newest_ms: int, *, more: bool) -> None:
        """Called after a batch: its newest record's time (0 for none), and whether more records wait."""
        if newest_ms > 0:
            # A producer's clock may run ahead; ours decides what now is.
            self._newest = min(datetime.fromtimestamp(newest_ms / 1000, UTC), self._clock.now())
        self._caught_up = not more
        PROJECTION_LAG.set(self.lag_seconds)

    def heard(self) -> None:
        """Called when a beat of our own came back: Kafka answers, so silence means that there is nothing new."""
        self._heard = self._clock.now()

    @property
    def as_of(self) -> datetime:
        """Everything written before this instant is in the projection."""
        now = self._clock.now()
        known = now if self._caught_up else self._newest
        return min(known, self._heard) if now - self._heard > self._patience else known

    @property
    def lag_seconds(self) -> float:
        return max(0.0, (self._clock.now() - self.as_of).total_seconds())
