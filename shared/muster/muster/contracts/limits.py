"""What a function in a child process may use. Who holds it to that is adapters/child_limits.py. No I/O."""

from __future__ import annotations

from typing import NamedTuple


class ChildLimits(NamedTuple):
    """What a function in a child process may use; None: as much as the pool allows."""

    #: When SoftTimeLimitExceeded is raised inside the function, in `time.monotonic()` of this machine ...
    soft_at: float | None = None
    #: ... and the limit it names, in seconds.
    soft_limit: float = 0.0
    memory_mb: int | None = None


NO_LIMITS = ChildLimits()
