"""When schedules fire, told in wall-clock time of any zone, and which records are schedules at all. No Kafka."""

from __future__ import annotations

import zoneinfo
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from muster.contracts.errors import InvalidSchedule
from muster.contracts.instants import instants_after
from muster.contracts.schedule import Schedule, encode_schedule, fire_id, parse_schedule

#: Of the first fire of all; a change of it would run tasks twice after an update.
NIGHT = "87fa8075-2223-5e42-ab7b-da5dd757af1f"


def schedule(**fields: Any) -> Schedule:
    return Schedule(**{"name": "s", "task_type": "noop", "service": "media", **fields})


def instants(item: Schedule, after: str, count: int) -> list[str]:
    found = islice(instants_after(item, datetime.fromisoformat(after)), count)
    return [instant.isoformat().removesuffix(":00+00:00") for instant in found]


def test_two_in_the_morning_in_manila_is_six_in_the_evening_before_in_utc() -> None:
    item = schedule(cron="0 2 * * *", time_zone="Asia/Manila")

    assert instants(item, "2026-11-23T17:00Z", 2) == ["2026-11-23T18:00", "2026-11-24T18:00"]


def test_an_instant_itself_is_not_after_itself() -> None:
    item = schedule(cron="0 2 * * *", time_zone="Asia/Manila")

    assert instants(item, "2026-11-23T18:00Z", 1) == ["2026-11-24T18:00"]


@pytest.mark.parametrize(
    ("zone", "cron", "after", "expected"),
    [
        # 02:30 does not exist on 29 March: it fires as the clocks jump to 03:00.
        ("Europe/Berlin", "30 2 * * *", "2026-03-28T12:00Z", ["2026-03-29T01:00", "2026-03-30T00:30"]),
        # Two times that do not exist, and the one they fall on: one instant.
        ("Europe/Berlin", "0,30 2,3 * * *", "2026-03-28T12:00Z", ["2026-03-29T01:00", "2026-03-29T01:30"]),
        # 02:30 comes twice on 25 October: the first one counts.
        ("Europe/Berlin", "30 2 * * *", "2026-10-24T12:00Z", ["2026-10-25T00:30", "2026-10-26T01:30"]),
        # The same asked between the two.
        ("Europe/Berlin", "30 2 * * *", "2026-10-25T00:45Z", ["2026-10-26T01:30", "2026-10-27T01:30"]),
        ("Europe/Berlin", "30 2 * * *", "2026-10-25T01:15Z", ["2026-10-26T01:30", "2026-10-27T01:30"]),
        # Every hour means every hour.
        ("Europe/Berlin", "0 * * * *", "2026-10-24T23:30Z", ["2026-10-25T00:00", "2026-10-25T01:00"]),
        # Lord Howe Island moves its clocks by half an hour.
        ("Australia/Lord_Howe", "45 1 * * *", "2026-04-04T14:00Z", ["2026-04-04T14:45", "2026-04-05T15:15"]),
        ("America/New_York", "30 2 * * *", "2026-03-07T12:00Z", ["2026-03-08T07:00", "2026-03-09T06:30"]),
    ],
)
def test_a_time_that_does_not_exist_fires_once_and_one_that_comes_twice_fires_once(
    zone: str, cron: str, after: str, expected: list[str]
) -> None:
    assert instants(schedule(cron=cron, time_zone=zone), after, 2) == expected


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Manila", "America/Havana"]),
    st.integers(0, 23), st.integers(0, 59), st.integers(0, 364),
)  # fmt: skip
def test_a_daily_schedule_fires_once_on_every_day_of_the_year(zone: str, hour: int, minute: int, start: int) -> None:
    item = schedule(cron=f"{minute} {hour} * * *", time_zone=zone)
    midnight = datetime(2026, 1, 1, tzinfo=item.zone) + timedelta(days=start)

    after = midnight.astimezone(UTC) - timedelta(microseconds=1)
    days = [instant.astimezone(item.zone).date() for instant in islice(instants_after(item, after), 60)]

    assert days == [date(2026, 1, 1) + timedelta(days=start + number) for number in range(60)]


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 400 * 86_400), st.sampled_from(["*/7 * * * *", "15 */5 * * *", "30 2 * * 1-5", "0,30 1-3 * * *"]))
def test_asking_on_from_any_instant_gives_what_asking_once_gave(offset: int, cron: str) -> None:
    item = schedule(cron=cron, time_zone="Europe/Berlin")
    start = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=offset)

    at_once = list(islice(instants_after(item, start), 12))
    one_by_one = [start]
    for _ in range(12):
        one_by_one.append(next(instants_after(item, one_by_one[-1])))

    assert at_once == one_by_one[1:] == sorted(set(at_once))


def test_a_period_is_counted_from_1970_so_that_everybody_means_the_same_instants() -> None:
    item = schedule(every=900.0)

    assert instants(item, "2026-11-23T10:07:13Z", 2) == ["2026-11-23T10:15", "2026-11-23T10:30"]
    assert instants(item, "2026-11-23T10:15Z", 1) == ["2026-11-23T10:30"]


def test_once_is_once() -> None:
    item = schedule(at=datetime(2026, 12, 1, 8, tzinfo=UTC))

    assert instants(item, "2026-11-30T00:00Z", 5) == ["2026-12-01T08:00"]
    assert instants(item, "2026-12-01T08:00Z", 5) == []


def test_the_id_of_a_fire_never_changes() -> None:
    instant = datetime(2026, 11, 23, 18, tzinfo=UTC)
    in_manila = instant.astimezone(schedule(time_zone="Asia/Manila").zone)

    assert fire_id("cleanup_old_notifications", instant) == NIGHT
    assert fire_id("cleanup_old_notifications", in_manila) == NIGHT
    assert fire_id("cleanup_old_audit_logs", instant) != NIGHT


def test_a_parameter_can_be_the_date_the_fire_is_about() -> None:
    item = schedule(
        cron="30 0 * * *", time_zone="Asia/Manila", parameters={"days": 1}, filled={"date": "date", "at": "instant"}
    )

    body = msgspec.json.decode(item.body(datetime(2026, 11, 23, 16, 30, tzinfo=UTC)))

    assert body == {"days": 1, "date": "2026-11-24", "at": "2026-11-23T16:30:00Z"}


def test_what_is_written_is_what_is_read() -> None:
    item = schedule(every=60.0, since=datetime(2026, 1, 1, tzinfo=UTC), parameters={"a": [1]}, enabled=False)

    assert parse_schedule(encode_schedule(item), key="s") == item


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "exactly one of cron, every and at"),
        ({"cron": "0 2 * * *", "every": 5.0}, "exactly one of cron, every and at"),
        ({"cron": "0 0 2 * * *"}, "five fields"),
        ({"cron": "61 2 * * *"}, "bad minute"),
        ({"cron": "0 0 31 2 *"}, "bad day-of-month"),
        ({"every": 0.5}, "every must be 1 to"),
        ({"at": datetime(2026, 1, 1)}, "at must tell the offset"),  # noqa: DTZ001  that is the point
        ({"every": 5.0, "time_zone": "Asia/Manilla"}, "time_zone must be a name"),
        ({"every": 5.0, "time_zone": "../etc"}, "time_zone must be a name"),
        ({"every": 5.0, "time_zone": "Asia"}, "time_zone must be a name"),
        ({"every": 5.0, "service": "nobody"}, "service must be one of media"),
        ({"every": 5.0, "name": ":fired:x"}, "name must be"),
        ({"every": 5.0, "grace": 60.0, "expires_after": 60.0}, "expires_after must be longer"),
        ({"every": 5.0, "parameters": {"a": 1}, "filled": {"a": "date"}}, "stands in parameters and in filled"),
    ],
)
def test_what_could_never_fire_is_refused_with_one_sentence(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSchedule, match=message):
        parse_schedule(encode_schedule(schedule(**fields)))


@pytest.mark.parametrize("raw", [b"\xff", b"[]", b'{"name": "s"}', b"[" * 100_000])
def test_bytes_that_are_no_schedule_are_refused(raw: bytes) -> None:
    with pytest.raises(InvalidSchedule, match="cannot be read"):
        parse_schedule(raw)


def test_a_record_under_another_name_is_refused() -> None:
    with pytest.raises(InvalidSchedule, match="another key"):
        parse_schedule(encode_schedule(schedule(every=5.0)), key="t")


def test_zones_are_known_on_a_system_without_a_tz_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zoneinfo, "TZPATH", ())
    known = zoneinfo.ZoneInfo.no_cache("Asia/Manila")

    assert datetime(2026, 1, 1, tzinfo=known).utcoffset() == timedelta(hours=8)
