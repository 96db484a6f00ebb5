"""All schedules and what of them is due: what a reader of `tasks.schedules` knows. Pure: no Kafka, no clock.

Instants up to `reached` are settled, fired or not; it follows from the notes in the topic, so a new owner goes on where
the last one stopped.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile

import msgspec
from muster.contracts.errors import UNREADABLE, InvalidSchedule
from muster.contracts.instants import instants_after
from muster.contracts.schedule import (
    SEEDED_KEY,
    Fired,
    Misfire,
    Schedule,
    fire_id,
    name_of_fired_key,
    parse_schedule,
)
from muster.ports import Record

#: With Misfire.ALL, how many missed instants fire at most.
MOST_AT_ONCE = 100
#: An instant no older than this was not missed: a restart or a new owner takes some seconds.
ON_TIME = timedelta(seconds=60)
#: A clock that went back less than this is waited for, so that nothing fires twice. Beyond it, it had been wrong
#: before: what was settled in a future that has not come is forgotten.
STEP_BACK = timedelta(hours=1)
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
#: Counting what was missed ends here.
_COUNTED = 1_000


@dataclass(frozen=True, slots=True)
class Fire:
    """One instant of one schedule."""

    schedule: Schedule
    instant: datetime

    @property
    def task_id(self) -> str:
        return fire_id(self.schedule.name, self.instant)


@dataclass(frozen=True, slots=True)
class Passed:
    """Instants that will not fire any more: how many."""

    schedule: str
    count: int


@dataclass(slots=True)
class _Entry:
    schedule: Schedule
    reached: datetime
    upcoming: datetime | None = None

    @property
    def start(self) -> datetime:
        """Later instants are open."""
        since = self.schedule.since
        return self.reached if since is None else max(since, self.reached)

    def look_ahead(self) -> None:
        self.upcoming = next(instants_after(self.schedule, self.start), None) if self.schedule.enabled else None


class Timetable:
    """Fold the topic's records in order, then ask what is due."""

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}
        self._fired: dict[str, datetime] = {}
        #: Names that were ever written from the file of defaults.
        self.seeded: frozenset[str] = frozenset()

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    @property
    def upcoming(self) -> datetime | None:
        """The next instant of any schedule."""
        return min((entry.upcoming for entry in self._entries.values() if entry.upcoming is not None), default=None)

    @property
    def orphans(self) -> list[str]:
        """Schedules that are gone, while the note of their last fire is not."""
        return [name for name in self._fired if name not in self._entries]

    def forget(self, names: list[str]) -> None:
        """Their notes are being deleted."""
        for name in names:
            del self._fired[name]

    def fold(self, record: Record) -> None:
        """Take in one record of the topic.

        Raises:
            InvalidSchedule: it cannot be used; the schedule it was about stands still.
        """
        key = (record.key or b"").decode(errors="replace")
        try:
            if key == SEEDED_KEY:
                self.seeded = frozenset(msgspec.json.decode(record.value or b"[]", type=list[str]))
            elif name := name_of_fired_key(key):
                self._fold_note(name, record.value)
            else:
                self._fold_schedule(key, record)
        except UNREADABLE as error:
            raise InvalidSchedule(f"record {key[:80]!r} cannot be read: {error}") from error

    def due(self, now: datetime) -> tuple[list[Fire], list[Passed]]:
        """What fires now, oldest first, and what was passed over; all of it is settled then."""
        fires: list[Fire] = []
        passed: list[Passed] = []
        for entry in self._entries.values():
            if entry.reached > now + STEP_BACK:
                entry.reached = now
                entry.look_ahead()
            if entry.upcoming is not None and entry.upcoming <= now:
                found, count = _due(entry, now)
                fires += found
                passed += [Passed(entry.schedule.name, count)] if count else []
                entry.reached = now
                entry.look_ahead()
        return sorted(fires, key=lambda fire: fire.instant), passed

    def _fold_note(self, name: str, value: bytes | None) -> None:
        if not value:
            self._fired.pop(name, None)
            return
        instant = msgspec.json.decode(value, type=Fired).instant
        self._fired[name] = instant
        entry = self._entries.get(name)
        if entry is not None and instant > entry.reached:
            entry.reached = instant
            entry.look_ahead()

    def _fold_schedule(self, name: str, record: Record) -> None:
        # Whatever stood there is over: an unreadable successor must not leave the old timing in force.
        self._entries.pop(name, None)
        if not record.value:
            return
        schedule = parse_schedule(record.value, key=name)
        # Who wrote it without saying since when it counts meant from then on.
        written = datetime.fromtimestamp(record.timestamp_ms / 1000, UTC)
        start = _LONG_AGO if schedule.since is not None else written
        self._entries[name] = entry = _Entry(schedule, max(start, self._fired.get(name, start)))
        entry.look_ahead()


def _due(entry: _Entry, now: datetime) -> tuple[list[Fire], int]:
    """The fires of one schedule, and how many of its instants are passed over."""
    schedule = entry.schedule
    age = ON_TIME if schedule.misfire is Misfire.SKIP else max(ON_TIME, timedelta(seconds=schedule.grace))
    # Exactly as old as is allowed still fires.
    oldest = max(entry.start, now - age - timedelta.resolution)
    kept = MOST_AT_ONCE if schedule.misfire is Misfire.ALL else 1
    young = deque(takewhile(lambda instant: instant <= now, instants_after(schedule, oldest)), maxlen=kept)
    every = takewhile(lambda instant: instant <= now, instants_after(schedule, entry.start))
    count = sum(1 for _ in islice(every, _COUNTED))
    return [Fire(schedule, instant) for instant in young], max(0, count - len(young))
