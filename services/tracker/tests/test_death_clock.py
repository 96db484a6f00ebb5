"""Who is dead, and when nobody may be declared so."""

from __future__ import annotations

from tracker_service.recovery.death_clock import DeathClock


def clock_after(clock: DeathClock, *returns: float) -> DeathClock:
    for monotonic in returns:
        clock.own_beat_returned(monotonic)
    return clock


def test_a_worker_silent_for_a_lease_is_dead() -> None:
    clock = clock_after(DeathClock(lease=30, longest_step=4), 0)
    clock.beat("w", leaving=False)

    clock_after(clock, *range(2, 30, 2))
    assert not clock.is_dead("w")

    clock_after(clock, 30)
    assert clock.is_dead("w")


def test_an_outage_of_the_broker_kills_nobody() -> None:
    clock = clock_after(DeathClock(lease=30, longest_step=4), 0, 2)
    clock.beat("w", leaving=False)

    clock_after(clock, 3600)

    assert not clock.is_dead("w")


def test_after_a_restart_of_the_tracker_every_worker_has_a_full_lease() -> None:
    clock = clock_after(DeathClock(lease=30, longest_step=4), *range(0, 100, 2))

    assert not clock.is_dead("never seen")
    clock_after(clock, *range(100, 130, 2))
    assert clock.is_dead("never seen")


def test_a_worker_that_left_is_dead_at_once_and_one_that_speaks_again_is_not() -> None:
    clock = clock_after(DeathClock(lease=30, longest_step=4), 0)

    clock.beat("w", leaving=True)
    assert clock.is_dead("w")

    clock.beat("w", leaving=False)
    assert not clock.is_dead("w")
