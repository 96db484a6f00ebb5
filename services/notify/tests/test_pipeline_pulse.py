"""When the pipeline itself counts as stopped: silence, not slowness; told once, reminded, and told when it is over."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from notify_service.domain.alert_rules import DeadMan
from notify_service.domain.alerting import Alert, Kind
from notify_service.domain.pulse import Flow, Pulse, Sight, Stethoscope, judge

NOON = datetime(2026, 11, 24, 4, 0, tzinfo=UTC)
RULE = DeadMan(silent_for=timedelta(minutes=3), remind=timedelta(hours=1))
#: Everything lives at every moment.
LIVING = Sight(NOON, beats={"tracker": NOON, "media": NOON}, waiting={"media": 0}, flows={"scheduler": Flow(5, 0)})


def story(*sights: tuple[float, Sight]) -> list[tuple[float, Kind, str]]:
    """What is told of what was seen, minute by minute."""
    ear = Stethoscope()
    pulses: dict[str, Pulse] = {}
    told: list[tuple[float, Kind, str]] = []
    for minute, sight in sights:
        now = NOON + timedelta(minutes=minute)
        for part, since in ear.silences(replace(sight, now=now)).items():
            pulses[part], alert = judge(pulses.get(part, Pulse(part)), since, RULE, now)
            if alert is not None:
                told.append((minute, alert.kind, alert.failed.task))
    return told


def at(minute: float, *services: str) -> dict[str, datetime]:
    return dict.fromkeys(services, NOON + timedelta(minutes=minute))


def test_a_living_pipeline_is_not_told() -> None:
    assert story(*((minute, replace(LIVING, beats=at(minute, "tracker"))) for minute in range(600))) == []


def test_a_silent_tracker_is_told_once_reminded_and_told_when_it_is_back() -> None:
    silent = replace(LIVING, beats=at(0, "tracker"))

    assert story(*((minute, silent) for minute in range(70)), (70, replace(LIVING, beats=at(70, "tracker")))) == [
        (3, Kind.SILENCE, "tracker"), (63, Kind.SILENCE, "tracker"), (70, Kind.RECOVERY, "tracker"),
    ]  # fmt: skip


def test_a_tracker_that_was_never_heard_is_given_its_time() -> None:
    assert story((0, replace(LIVING, beats={})), (2, replace(LIVING, beats={})), (3, replace(LIVING, beats={}))) == [
        (3, Kind.SILENCE, "tracker")
    ]


def test_a_service_without_workers_is_told_only_while_tasks_wait() -> None:
    gone = [(minute, replace(LIVING, beats=at(minute, "tracker"))) for minute in range(10)]
    waits = [(minute, replace(sight, waiting={"media": 7})) for minute, sight in gone]

    assert story(*gone) == []
    assert story(*waits) == [(3, Kind.SILENCE, "workers of media")]


def test_a_log_that_is_read_slowly_is_no_silence_and_one_that_is_not_read_is() -> None:
    beats = [(minute, at(minute, "tracker")) for minute in range(10)]
    slow = [(m, Sight(NOON, beats=b, flows={"scheduler": Flow(m, 100)})) for m, b in beats]
    stuck = [(m, Sight(NOON, beats=b, flows={"scheduler": Flow(5, 100)})) for m, b in beats]
    idle = [(m, Sight(NOON, beats=b, flows={"scheduler": Flow(5, 0)})) for m, b in beats]

    assert story(*slow) == []
    assert story(*idle) == []
    assert story(*stuck) == [(3, Kind.SILENCE, "scheduler")]


def test_a_process_that_has_just_begun_to_look_does_not_call_a_silence_over() -> None:
    stuck = Sight(NOON, beats=at(0, "tracker"), flows={"scheduler": Flow(5, 100)})
    known = Pulse("scheduler", NOON - timedelta(minutes=20), NOON - timedelta(minutes=10), 1)

    since = Stethoscope().silences(stuck)["scheduler"]

    assert judge(known, since, RULE, NOON) == (known, None)


def test_without_kafka_nothing_else_is_said() -> None:
    away = Sight(NOON, kafka=False)

    assert story(*((minute, away) for minute in range(6)), (6, replace(LIVING, beats=at(6, "tracker")))) == [
        (3, Kind.SILENCE, "kafka"), (6, Kind.RECOVERY, "kafka"),
    ]  # fmt: skip


def test_the_same_silence_has_the_same_alert_whoever_finds_out() -> None:
    def found(part: str) -> Alert | None:
        return judge(Pulse(part), NOON, RULE, NOON + timedelta(minutes=3))[1]

    first, second, other = found("tracker"), found("tracker"), found("scheduler")

    assert first is not None
    assert second is not None
    assert other is not None
    assert first.id == second.id != other.id
