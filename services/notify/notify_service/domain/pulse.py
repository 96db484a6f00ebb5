"""Decides when the pipeline itself counts as stopped, and when that is told. Pure; looking at it is sight.py's."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from notify_service.domain.alert_rules import DeadMan, Failed
from notify_service.domain.alerting import NAMESPACE, Alert, Kind


@dataclass(frozen=True, slots=True)
class Flow:
    """Something that reads a log: where it stands, and how many records lie before it."""

    position: int
    behind: int


@dataclass(frozen=True, slots=True)
class Sight:
    """What can be seen of the pipeline at one moment."""

    now: datetime
    #: False: Kafka does not answer, so nothing else is known.
    kafka: bool = True
    #: The newest heartbeat by service; a worker that said good-bye has none.
    beats: Mapping[str, datetime] = field(default_factory=dict)
    #: Tasks in a service's lanes that nobody has taken.
    waiting: Mapping[str, int] = field(default_factory=dict)
    flows: Mapping[str, Flow] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pulse:
    """What was told of one part."""

    part: str
    silent_since: datetime | None = None
    told_at: datetime | None = None
    told: int = 0


#: Who was heard so lately lives; workers beat every two seconds.
FRESH = timedelta(seconds=30)
#: What it means when a part stands still.
MEANING = {
    "kafka": "Kafka does not answer: no task can be submitted, run or ended.",
    "tracker": "No tracker says that it lives: states are not recorded, and tasks of lost workers are not run again.",
    "projection": "The tracker does not record what happens: states that are shown are old.",
    "scheduler": "Nobody moves delayed tasks: retries, countdowns and schedules stand still.",
    "alerts": "Dead letters are not read: failures are not told.",
}


class Stethoscope:
    """Remembers since when each part has not been heard; a part is given `silent_for` from the first look on."""

    def __init__(self) -> None:
        self._since: dict[str, datetime] = {}
        self._positions: dict[str, int] = {}

    def silences(self, sight: Sight) -> dict[str, datetime | None]:
        """Every part looked at, and since when it is silent; None: it lives."""
        if not sight.kafka:
            return {"kafka": self._silent("kafka", sight.now)}
        found = {"kafka": self._alive("kafka"), "tracker": self._beating("tracker", sight)}
        for service, waiting in sight.waiting.items():
            part = f"workers of {service}"
            found[part] = self._beating(service, sight, part) if waiting else self._alive(part)
        for part, flow in sight.flows.items():
            found[part] = self._flowing(part, flow, sight.now)
        return found

    def _beating(self, service: str, sight: Sight, part: str | None = None) -> datetime | None:
        part = part or service
        beat = sight.beats.get(service)
        if beat is None:
            return self._silent(part, sight.now)
        if sight.now - beat < FRESH:
            return self._alive(part)
        self._since[part] = max(beat, self._since.get(part, beat))
        return self._since[part]

    def _flowing(self, part: str, flow: Flow, now: datetime) -> datetime | None:
        # At the first look nobody knows whether it moves: it neither lives nor is it long silent.
        moved = self._positions.get(part, flow.position) != flow.position
        self._positions[part] = flow.position
        return self._alive(part) if moved or not flow.behind else self._silent(part, now)

    def _silent(self, part: str, now: datetime) -> datetime:
        return self._since.setdefault(part, now)

    def _alive(self, part: str) -> datetime | None:
        self._since.pop(part, None)
        return None


def judge(pulse: Pulse, silent_since: datetime | None, rule: DeadMan, now: datetime) -> tuple[Pulse, Alert | None]:
    """What is to be told of one part now, and what is then known of it."""
    if silent_since is None:
        return Pulse(pulse.part), _alert(pulse, Kind.RECOVERY, rule, now) if pulse.told_at is not None else None
    if pulse.told_at is None and now - silent_since < rule.silent_for:
        return Pulse(pulse.part), None
    since = pulse.silent_since or silent_since
    if pulse.told_at is not None and now - pulse.told_at < rule.remind:
        return pulse, None
    told = replace(pulse, silent_since=since, told_at=now, told=pulse.told + 1)
    return told, _alert(told, Kind.SILENCE, rule, now)


def meaning(part: str) -> str:
    """One sentence for an admin."""
    if part in MEANING:
        return MEANING[part]
    return f"Tasks wait, and none of the {part} says that it lives."


def _alert(pulse: Pulse, kind: Kind, rule: DeadMan, now: datetime) -> Alert:
    since = pulse.silent_since or now
    return Alert(
        id=uuid.uuid5(NAMESPACE, f"{pulse.part}|{kind}|{since.isoformat()}|{pulse.told}"),
        kind=kind, severity=rule.severity if kind is Kind.SILENCE else "info", channels=rule.channels,
        group=f"pipeline/{pulse.part}", failed=Failed("muster", pulse.part, str(kind), ""),
        message=meaning(pulse.part), count=pulse.told, total=pulse.told, attempts=0, task_id="", at=now,
        first_seen=since, last_seen=now,
    )  # fmt: skip
