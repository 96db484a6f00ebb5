"""Routing of delayed records over the retry topics: which fixed delay next, never early.

Pure; the scheduler moves the records.
"""

from __future__ import annotations

from collections.abc import Sequence

from muster.contracts.topics import DELAYS

#: Seconds a hop itself may take; a delay is chosen only when it ends this much before the due time.
MARGIN = 0.02


def next_delay(remaining: float, delays: Sequence[int] = DELAYS) -> int | None:
    """The largest fixed delay (seconds) that ends before `remaining` seconds are over; None: wait in memory."""
    fitting = [delay for delay in delays if delay + MARGIN <= remaining]
    return max(fitting, default=None)
