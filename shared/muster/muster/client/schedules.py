"""What is scheduled, as it stands on `tasks.schedules`. Firing, and writing the notes read here, is the scheduler's."""

from __future__ import annotations

from contextlib import aclosing
from datetime import UTC, datetime
from itertools import islice

import msgspec

from muster.client.reading import read_to_end
from muster.contracts.errors import UNREADABLE, InvalidSchedule
from muster.contracts.instants import instants_after
from muster.contracts.schedule import SEEDED_KEY, Fired, Schedule, name_of_fired_key, parse_schedule
from muster.contracts.topics import Topics
from muster.observability.logging import get_logger
from muster.ports import Broker, Record

log = get_logger(__name__)


class ScheduleView(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule, its latest fire and its next instants (UTC; none while it is switched off)."""

    schedule: Schedule
    last: Fired | None
    next: tuple[datetime, ...]


async def read_schedules(broker: Broker, topics: Topics, now: datetime, *, count: int = 1) -> list[ScheduleView]:
    """Every schedule by name, each with its next `count` instants.

    Raises:
        BrokerError: the topic is missing or could not be read.
    """
    schedules: dict[str, Schedule] = {}
    fired: dict[str, Fired] = {}
    async with aclosing(read_to_end(broker, topics.schedules)) as records:
        async for record in records:
            _fold(record, schedules, fired)
    return [_view(schedules[name], fired.get(name), now, count) for name in sorted(schedules)]


def _fold(record: Record, schedules: dict[str, Schedule], fired: dict[str, Fired]) -> None:
    key = (record.key or b"").decode(errors="replace")
    if key == SEEDED_KEY:
        return
    about = name_of_fired_key(key)
    (schedules if about is None else fired).pop(about or key, None)
    if not record.value:
        return
    try:
        if about is None:
            schedules[key] = parse_schedule(record.value, key=key)
        else:
            fired[about] = msgspec.json.decode(record.value, type=Fired)
    except (InvalidSchedule, *UNREADABLE) as error:
        log.warning("Schedule cannot be read", action="schedule.unreadable", key=key, error=str(error))


def _view(schedule: Schedule, last: Fired | None, now: datetime, count: int) -> ScheduleView:
    after = max(now, schedule.since or now).astimezone(UTC)
    following = tuple(islice(instants_after(schedule, after), count)) if schedule.enabled else ()
    return ScheduleView(schedule=schedule, last=last, next=following)
