"""The clocks: the system's tells UTC, the fake one moves only by hand. Nothing here waits for real time."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from muster.adapters.clock import FakeClock, SystemClock

START = datetime(2026, 11, 23, 8, tzinfo=UTC)


async def test_the_system_clock_tells_aware_utc_and_never_goes_back() -> None:
    clock = SystemClock()

    before = clock.monotonic()
    await clock.sleep(-1)

    assert clock.now().utcoffset() == timedelta(0)
    assert clock.monotonic() >= before


async def test_sleepers_wake_in_the_order_of_their_due_times() -> None:
    clock = FakeClock(START)
    woken: list[tuple[str, float]] = []

    async def sleeper(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append((name, clock.monotonic()))

    tasks = [asyncio.create_task(sleeper(name, s)) for name, s in (("late", 5.0), ("early", 1.0), ("never", 99.0))]
    await clock.advance(10)

    assert woken == [("early", 1.0), ("late", 5.0)]
    assert clock.now() == START + timedelta(seconds=10)
    assert clock.next_wake == 89.0
    tasks[2].cancel()


async def test_a_sleeper_that_sleeps_again_is_woken_within_the_same_advance() -> None:
    clock = FakeClock(START)
    beats: list[float] = []

    async def beat() -> None:
        while True:
            await clock.sleep(2)
            beats.append(clock.monotonic())

    task = asyncio.create_task(beat())
    await clock.advance(7)

    assert beats == [2.0, 4.0, 6.0]
    task.cancel()


async def test_a_cancelled_sleeper_is_forgotten() -> None:
    clock = FakeClock(START)
    task = asyncio.create_task(clock.sleep(3))
    await clock.advance(1)

    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert clock.next_wake is None


def test_a_fake_clock_refuses_a_naive_start() -> None:
    with pytest.raises(ValueError, match="time zone"):
        FakeClock(datetime(2026, 1, 1))  # noqa: DTZ001
