"""What of the schedules is due, what was missed, and what a restart or a wrong clock does to it. No Kafka."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from muster.contracts.envelope import parse_task
from muster.contracts.errors import ConfigurationError, InvalidSchedule
from muster.contracts.schedule import SEEDED_KEY, Fired, Misfire, Schedule, encode_schedule, fired_key
from muster.contracts.topics import Topics
from muster.ports import Record
from scheduler_service.defaults import parse_defaults, read_defaults
from scheduler_service.firing import to_records
from scheduler_service.timetable import MOST_AT_ONCE, STEP_BACK, Fire, Timetable

TOPICS = Topics("p.")
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def record(key: bytes, value: bytes | None, at: datetime = NOON) -> Record:
    return Record(TOPICS.schedules, 0, 0, int(at.timestamp() * 1000), key, value, ())


def hourly(at: datetime = NOON, **fields: Any) -> Record:
    item = Schedule(**{"name": "h", "task_type": "noop", "service": "media", "cron": "0 * * * *", **fields})
    return record(item.name.encode(), encode_schedule(item), at)


def note(instant: datetime, name: str = "h") -> Record:
    fired = Fired(schedule=name, instant=instant, task_id="t", at=instant)
    return record(fired_key(name), msgspec.json.encode(fired), instant)


def table(*records: Record) -> Timetable:
    timetable = Timetable()
    for item in records:
        timetable.fold(item)
    return timetable


def hours(fires: list[Fire]) -> list[float]:
    """Instants of the fires, as hours after noon."""
    return [(fire.instant - NOON) / timedelta(hours=1) for fire in fires]


def after(hours: float, **more: float) -> datetime:
    return NOON + timedelta(hours=hours, **more)


def test_an_instant_is_due_when_it_has_come_and_not_a_microsecond_before() -> None:
    timetable = table(hourly())

    assert timetable.upcoming == after(1)
    assert timetable.due(after(1, microseconds=-1)) == ([], [])
    fires, passed = timetable.due(after(1))
    assert (hours(fires), passed) == ([1], [])
    assert timetable.due(after(1)) == ([], [])
    assert timetable.upcoming == after(2)


def test_instants_before_a_schedule_was_written_were_not_missed() -> None:
    assert table(hourly()).due(NOON) == ([], [])


def test_since_counts_more_than_when_it_was_written() -> None:
    earlier, later = table(hourly(since=after(-0.5))), table(hourly(since=after(3)))

    assert hours(earlier.due(NOON)[0]) == [0]
    assert later.due(after(3))[0] == []
    assert hours(later.due(after(4))[0]) == [4]


@pytest.mark.parametrize(
    ("misfire", "grace", "expected", "lost"),
    [
        (Misfire.ONE, 3600.0, [5], 4),
        (Misfire.ONE, 600.0, [], 5),
        (Misfire.ALL, 7200.0, [4, 5], 3),
        (Misfire.ALL, 600.0, [], 5),
        (Misfire.SKIP, 7200.0, [], 5),
    ],
)
def test_after_five_hours_without_a_scheduler_the_policy_says_what_fires(
    misfire: Misfire, grace: float, expected: list[float], lost: int
) -> None:
    timetable = table(hourly(misfire=misfire, grace=grace))

    fires, passed = timetable.due(after(5, minutes=30))

    assert hours(fires) == expected
    assert [item.count for item in passed] == [lost]
    assert timetable.due(after(5, minutes=30)) == ([], [])
    assert hours(timetable.due(after(6))[0]) == [6]


def test_an_instant_exactly_as_old_as_the_grace_still_fires() -> None:
    assert hours(table(hourly(grace=600.0)).due(after(1, minutes=10))[0]) == [1]
    assert hours(table(hourly(grace=600.0)).due(after(1, minutes=10, microseconds=1))[0]) == []


@pytest.mark.parametrize("misfire", list(Misfire))
def test_a_restart_of_some_seconds_misses_nothing_under_any_policy(misfire: Misfire) -> None:
    assert hours(table(hourly(misfire=misfire, grace=0.0)).due(after(1, seconds=30))[0]) == [1]


def test_a_week_of_missed_minutes_is_no_storm() -> None:
    timetable = table(hourly(cron="* * * * *", misfire="all", grace=7 * 86_400.0))

    fires, _ = timetable.due(after(7 * 24))

    assert len(fires) == MOST_AT_ONCE
    assert hours(fires[-1:]) == [7 * 24]


def test_a_new_owner_goes_on_after_the_note() -> None:
    timetable = table(hourly(), note(after(1)))

    assert timetable.due(after(1, minutes=5)) == ([], [])
    assert hours(timetable.due(after(2))[0]) == [2]


def test_a_schedule_that_is_switched_off_is_silent_and_owes_nothing_later() -> None:
    timetable = table(hourly(), hourly(enabled=False))
    assert (timetable.upcoming, timetable.due(after(3))) == (None, ([], []))

    timetable.fold(hourly(at=after(3.5)))

    assert timetable.due(after(3.9)) == ([], [])
    assert hours(timetable.due(after(4))[0]) == [4]


def test_a_changed_time_is_in_force_at_once() -> None:
    timetable = table(hourly(), hourly(cron="30 * * * *"))

    assert timetable.upcoming == after(0.5)


def test_a_deleted_schedule_is_silent_and_its_note_is_to_be_deleted_too() -> None:
    timetable = table(hourly(), note(after(1)), record(b"h", None))

    assert timetable.due(after(5)) == ([], [])
    assert timetable.orphans == ["h"]


@pytest.mark.parametrize("raw", [b"\xff", b"{}", encode_schedule(Schedule(name="x", task_type="t", service="media"))])
def test_a_schedule_that_became_unreadable_stands_still_and_the_others_go_on(raw: bytes) -> None:
    timetable = table(hourly(), hourly(name="other"))

    with pytest.raises(InvalidSchedule):
        timetable.fold(record(b"h", raw))

    assert [fire.schedule.name for fire in timetable.due(after(1))[0]] == ["other"]


def test_a_clock_that_went_back_a_little_fires_nothing_twice() -> None:
    timetable = table(hourly(cron="* * * * *"))
    assert len(timetable.due(after(0, minutes=1))[0]) == 1

    assert timetable.due(after(0, seconds=30)) == ([], [])
    assert timetable.due(after(0, minutes=1, seconds=5)) == ([], [])
    assert hours(timetable.due(after(0, minutes=2))[0]) == [1 / 30]


@pytest.mark.parametrize("restarted", [False, True])
def test_a_clock_that_was_a_year_ahead_does_not_silence_a_schedule_for_a_year(restarted: bool) -> None:
    wrong = after(365 * 24)
    timetable = table(hourly(), note(wrong)) if restarted else table(hourly())
    timetable.due(NOON if restarted else wrong)

    assert wrong - NOON > STEP_BACK
    assert timetable.due(after(0.5)) == ([], [])
    assert hours(timetable.due(after(1))[0]) == [1]


@settings(deadline=None, max_examples=60)
@given(st.randoms(use_true_random=False), st.sampled_from(["* * * * *", "*/5 * * * *", "0 * * * *"]))
def test_no_order_of_ticks_crashes_and_set_clocks_fires_an_instant_early_or_twice(
    rng: random.Random, cron: str
) -> None:
    log, now, highest = [hourly(cron=cron, misfire=rng.choice(list(Misfire)))], NOON, NOON
    timetable = table(*log)
    fired: list[datetime] = []
    for _ in range(80):
        match rng.choice(["tick", "tick", "crash", "crash in the fire", "clock back"]):
            case "clock back":
                now = max(now - timedelta(seconds=rng.uniform(0, 1800)), highest - STEP_BACK)
            case "crash":
                timetable = table(*log)
            case what:
                now += timedelta(seconds=rng.choice((0.1, 30, 200, 4000)))
                highest = max(highest, now)
                fires, _ = timetable.due(now)
                assert all(fire.instant <= now for fire in fires)
                if what == "tick":
                    fired += [fire.instant for fire in fires]
                    log += [note(fire.instant) for fire in fires]
                else:  # neither the task nor the note was written
                    timetable = table(*log)

    assert fired == sorted(set(fired))


def test_the_task_of_a_fire_is_a_plain_task_that_names_its_schedule_and_instant() -> None:
    instant = datetime(2026, 11, 23, 10, tzinfo=UTC)
    [item] = [default for default in read_defaults() if default.name == "generate_daily_attendance_report"]
    fire = Fire(item, instant)

    (lane, key, body, headers), (topic, fired, _, _) = to_records(fire, TOPICS, instant)
    task = parse_task(headers, body)

    assert (lane, key, topic, fired) == (
        "p.tasks.reports.default", fire.task_id.encode(), "p.tasks.schedules", fired_key(item.name),
    )  # fmt: skip
    assert (task.task_id, task.task_type, task.source, task.not_before) == (
        fire.task_id, "generate_daily_attendance_report", "muster/scheduler", None,
    )  # fmt: skip
    assert task.parameters() == {"date": "2026-11-23"}
    assert dict(task.extra) == {
        "task-schedule": b"generate_daily_attendance_report",
        "task-instant": b"2026-11-23T10:00:00Z",
    }
    assert task.expires is not None
    assert task.expires - instant == timedelta(hours=20)


def test_the_file_of_defaults_holds_the_schedules_of_the_reference_document_and_one_more() -> None:
    found = {item.name: (item.cron, item.time_zone) for item in read_defaults()}

    assert found == {
        "cleanup_old_notifications": ("0 2 * * *", "Asia/Manila"),
        "cleanup_old_audit_logs": ("0 3 * * *", "Asia/Manila"),
        "cleanup_old_sync_events": ("30 3 * * *", "Asia/Manila"),
        "generate_daily_attendance_report": ("0 18 * * *", "Asia/Manila"),
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[a", "cannot be used"),
        ("a = 1", "no table"),
        ('[a]\ncrom = "0 2 * * *"', "no field is called crom"),
        ('[a]\ncron = "0 2 * * *"\ntask_type = "t"\nservice = "nobody"', "service must be one of"),
        ('[a]\ncron = 5\ntask_type = "t"\nservice = "media"', "Expected `str"),
    ],
)
def test_a_mistake_in_the_file_is_named(text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        parse_defaults(text)


def test_what_was_ever_seeded_is_remembered() -> None:
    assert table(record(SEEDED_KEY.encode(), b'["a","b"]')).seeded == {"a", "b"}
