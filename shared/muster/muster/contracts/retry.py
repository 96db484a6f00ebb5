"""When a failed attempt runs again: pure arithmetic, drawn per record.

Writing the retry record is the worker's settlement.
"""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class RetryPolicy:
    """Retries of one task type; the defaults are the reference document's (60, 120, 240 s, at most 600 s).

    `delay = min(cap, base * factor**n)`, then equal jitter: uniform in [0.5, 1.0] of it
    ("Exponential Backoff And Jitter", AWS Architecture Blog, 2015). Times in seconds.
    """

    max_retries: int = 3
    base: float = 60.0
    factor: float = 2.0
    cap: float = 600.0
    jitter: bool = True

    @property
    def max_attempts(self) -> int:
        return self.max_retries + 1

    def delay(self, failed_attempt: int, rng: random.Random) -> float | None:
        """Seconds to wait after attempt `failed_attempt` (1-based) failed; None when none is left."""
        if failed_attempt >= self.max_attempts:
            return None
        # The exponent is bounded so that a policy with many retries cannot overflow a float.
        full = min(self.cap, self.base * self.factor ** min(failed_attempt - 1, 64))
        return full * rng.uniform(0.5, 1.0) if self.jitter else full


#: An unknown task type is tried again for an hour (a rolling deploy), once a minute.
UNKNOWN_TASK = RetryPolicy(max_retries=60, base=60.0, factor=1.0, cap=60.0, jitter=True)
