"""Waits for a condition of the real parts, within a bound. Holds no test."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from muster.adapters.clock import SystemClock

Condition = Callable[[], Awaitable[object]]
LONGEST_SECONDS = 60.0


async def until(condition: Condition, what: str) -> None:
    """Return when the condition holds; fails the test after LONGEST_SECONDS."""
    clock = SystemClock()
    deadline = clock.monotonic() + LONGEST_SECONDS
    while not await condition():
        if clock.monotonic() > deadline:
            raise AssertionError(f"not within {LONGEST_SECONDS:g} s: {what}")
        await clock.sleep(0.02)
