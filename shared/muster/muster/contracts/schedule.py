"""A schedule as it stands on the compacted `tasks.schedules`, and the note of its last fire. Its times: instants.py.

Keys: a schedule's is its name; notes are kept under keys that no schedule can have.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Literal
from zoneinfo import ZoneInfo

import msgspec
from cronsim import CronSim, CronSimError

from muster.contracts.errors import UNREADABLE, InvalidSchedule
from muster.contracts.topics import WORKER_SERVICES, Lane

#: The same schedule and instant always name the same task.
_FIRE_IDS = uuid.UUID("6d0f3c52-7a4e-5c1b-9e0d-1b6f8a2c4d93")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
#: Key of the names that were ever written from the file of defaults: one that was deleted stays deleted.
SEEDED_KEY = ":seeded"
_FIRED_KEY = ":fired:"
SHORTEST_SECONDS, LONGEST_SECONDS = 1.0, 366 * 86_400.0
#: Instants further back than this are nobody's concern any more.
LONGEST_GRACE = 7 * 86_400.0


class Misfire(StrEnum):
    """What happens to instants that passed while no scheduler ran."""

    #: Nothing.
    SKIP = "skip"
    #: The latest of them fires once, if it is younger than the grace.
    ONE = "one"
    #: Each of them that is younger than the grace fires; at most the latest hundred.
    ALL = "all"


class Schedule(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What to run and when: exactly one of `cron`, `every` and `at`. Times in seconds."""

    name: str
    task_type: str
    #: Whose lane the task goes to.
    service: str
    lane: Lane = Lane.DEFAULT
    parameters: dict[str, Any] = {}
    #: Parameters taken from the instant itself: its date in the time zone, or the instant in UTC (RFC 3339).
    filled: dict[str, Literal["date", "instant"]] = {}
    description: str = ""
    enabled: bool = True
    #: Minute, hour, day of month, month, day of week, as in Debian's cron.
    cron: str | None = None
    #: Counted from 1970 in UTC, so that every scheduler means the same instants.
    every: float | None = None
    at: datetime | None = None
    #: IANA name; cron's fields are told in it.
    time_zone: str = "UTC"
    misfire: Misfire = Misfire.ONE
    #: A missed instant older than this does not fire any more.
    grace: float = 3600.0
    #: A task not begun so long after its instant is not begun at all.
    expires_after: float | None = None
    #: Instants up to this one do not count; set when a schedule is made, resumed or told another time.
    since: datetime | None = None

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)

    @property
    def timing(self) -> str:
        """One phrase for people: the cron expression, the period or the instant."""
        if self.cron is not None:
            return self.cron
        return f"every {self.every:g} s" if self.every is not None else f"once at {self.at:%Y-%m-%d %H:%M:%S %Z}"

    def body(self, instant: datetime) -> bytes:
        """The task's parameters for one fire."""
        values = {"date": instant.astimezone(self.zone).date().isoformat(), "instant": rfc3339(instant)}
        return msgspec.json.encode(self.parameters | {name: values[what] for name, what in self.filled.items()})


class Fired(msgspec.Struct, frozen=True, kw_only=True):
    """The latest instant a schedule was fired for; written in the transaction of the fire itself."""

    schedule: str
    instant: datetime
    task_id: str
    at: datetime


def fire_id(name: str, instant: datetime) -> str:
    """The id of the task that a schedule starts for an instant."""
    return str(uuid.uuid5(_FIRE_IDS, f"{name} {rfc3339(instant)}"))


def fired_key(name: str) -> bytes:
    return f"{_FIRED_KEY}{name}".encode()


def name_of_fired_key(key: str) -> str | None:
    """The schedule that a note is about; None when the key is no note's."""
    return key.removeprefix(_FIRED_KEY) if key.startswith(_FIRED_KEY) else None


def rfc3339(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


encode_schedule = msgspec.json.Encoder().encode


def parse_schedule(raw: bytes, *, key: str | None = None) -> Schedule:
    """Read and check a schedule; its name must be the record's `key`.

    Raises:
        InvalidSchedule: it cannot be read, or could never fire.
    """
    try:
        schedule = msgspec.json.decode(raw, type=Schedule)
    except UNREADABLE as error:
        raise InvalidSchedule(f"schedule {key or ''!r} cannot be read: {error}") from error
    if key is not None and key != schedule.name:
        raise InvalidSchedule(f"the record of schedule {schedule.name!r} has another key: {key[:80]!r}")
    check_schedule(schedule)
    return schedule


def check_schedule(schedule: Schedule) -> None:
    """Refuse what could never fire, or would mean two things.

    Raises:
        InvalidSchedule: with one sentence for all that is wrong.
    """
    wrong = [sentence for sentence in (check(schedule) for check in _CHECKS) if sentence]
    if wrong:
        raise InvalidSchedule(f"schedule {schedule.name[:100]!r}: {'; '.join(wrong)}")


def _check_names(schedule: Schedule) -> str:
    if not _NAME.fullmatch(schedule.name):
        return "name must be 1 to 100 of A-Z a-z 0-9 _ . - and begin with a letter or digit"
    if schedule.service not in WORKER_SERVICES:
        return f"service must be one of {', '.join(WORKER_SERVICES)}; got {schedule.service[:80]!r}"
    return ""


def _check_timing(schedule: Schedule) -> str:
    if [schedule.cron, schedule.every, schedule.at].count(None) != 2:
        return "give exactly one of cron, every and at"
    if schedule.cron is not None:
        return _check_cron(schedule.cron)
    if schedule.every is not None:
        fits = SHORTEST_SECONDS <= schedule.every <= LONGEST_SECONDS
        return "" if fits else f"every must be {SHORTEST_SECONDS:g} to {LONGEST_SECONDS:.0f} seconds"
    return ""


def _check_cron(expression: str) -> str:
    # CronSim also reads six fields, the first one seconds; two meanings of one notation would be one too many.
    if len(expression.split()) != 5:
        return f"cron must have five fields; got {expression[:80]!r}"
    try:
        CronSim(expression, datetime(2026, 1, 1, tzinfo=UTC))
    except CronSimError as error:
        return f"cron {expression[:80]!r}: {str(error).lower()}"
    return ""


def _check_instants(schedule: Schedule) -> str:
    named = {"at": schedule.at, "since": schedule.since}
    naive = [name for name, instant in named.items() if instant is not None and instant.tzinfo is None]
    return f"{' and '.join(naive)} must tell the offset, such as Z" if naive else ""


def _check_zone(schedule: Schedule) -> str:
    try:
        ZoneInfo(schedule.time_zone)
    except (LookupError, ValueError, OSError):  # a name that is a folder of the tz database is an OSError
        return f"time_zone must be a name of the tz database such as Asia/Manila; got {schedule.time_zone[:80]!r}"
    return ""


def _check_grace(schedule: Schedule) -> str:
    if not 0 <= schedule.grace <= LONGEST_GRACE:
        return f"grace must be 0 to {LONGEST_GRACE:.0f} seconds"
    if schedule.expires_after is not None and schedule.expires_after <= schedule.grace:
        return "expires_after must be longer than grace: a late fire would have expired already"
    return ""


def _check_filled(schedule: Schedule) -> str:
    twice = sorted(schedule.filled.keys() & schedule.parameters.keys())
    return f"{', '.join(twice)} stands in parameters and in filled" if twice else ""


_CHECKS: tuple[Callable[[Schedule], str], ...] = (
    _check_names, _check_timing, _check_instants, _check_zone, _check_grace, _check_filled,
)  # fmt: skip
