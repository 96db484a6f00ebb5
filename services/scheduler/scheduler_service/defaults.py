"""The schedules every installation begins with: schedules.toml, read and checked. Writing them is periodic.py's."""

from __future__ import annotations

import tomllib
from importlib.resources import files

import msgspec
from muster.contracts.errors import ConfigurationError, InvalidSchedule
from muster.contracts.schedule import Schedule, check_schedule

_FILE = "schedules.toml"


def read_defaults() -> tuple[Schedule, ...]:
    """Raises ConfigurationError when the file of this package cannot be used."""
    return parse_defaults((files(__package__) / _FILE).read_text())


def parse_defaults(text: str) -> tuple[Schedule, ...]:
    """One table per schedule, named like it.

    Raises:
        ConfigurationError: with the schedule and what is wrong with it.
    """
    try:
        return tuple(_schedule(name, table) for name, table in tomllib.loads(text).items())
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, InvalidSchedule) as error:
        raise ConfigurationError(f"{_FILE} cannot be used: {error}") from error


def _schedule(name: str, table: object) -> Schedule:
    fields = table if isinstance(table, dict) else {}
    unknown = sorted(fields.keys() - set(Schedule.__struct_fields__))
    if not fields:
        raise InvalidSchedule(f"{name!r} is no table of fields")
    if unknown:
        raise InvalidSchedule(f"schedule {name!r}: no field is called {', '.join(unknown)}")
    schedule = msgspec.convert({**fields, "name": name}, Schedule)
    check_schedule(schedule)
    return schedule
