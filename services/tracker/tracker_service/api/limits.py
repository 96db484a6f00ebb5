"""How often one caller may ask. Counted in memory, per tracker process."""

from __future__ import annotations

import time

from limits import parse_many
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from tracker_service.api.errors import ApiError


class RateLimit:
    """Limits in the notation of the library `limits`: `100/second;3000/minute`."""

    def __init__(self, limits: str) -> None:
        self._limits = parse_many(limits)
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())

    def count(self, caller: str) -> None:
        """Count one request.

        Raises:
            ApiError: 429, with when to come back.
        """
        for limit in self._limits:
            if not self._limiter.hit(limit, caller):
                reset = self._limiter.get_window_stats(limit, caller).reset_time
                wait = max(1, round(reset - time.time() + 0.5))
                raise ApiError(
                    429, f"more than {limit} from one caller: come back in {wait} s", headers={"Retry-After": str(wait)}
                )
