"""The instants at which a schedule fires. Pure; what is done about them is the scheduler's.

Cron's fields are wall-clock time. Over a change of the clocks Debian's rules hold, as CronSim has them: a fixed time
that does not exist fires once, as the clocks jump; one that comes twice fires the first time only.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count

from cronsim import CronSim

from muster.contracts.schedule import Schedule

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def instants_after(schedule: Schedule, after: datetime) -> Iterator[datetime]:
    """Every instant later than `after`, in order, in UTC."""
    if schedule.at is not None:
        return iter([schedule.at.astimezone(UTC)] if schedule.at > after else [])
    if schedule.every is not None:
        return _periods(schedule.every, after)
    return _cron(schedule, after)


def _periods(seconds: float, after: datetime) -> Iterator[datetime]:
    period = round(seconds * 1e6)
    first = (after - _EPOCH) // _MICROSECOND // period + 1
    return (_EPOCH + timedelta(microseconds=number * period) for number in count(first))


def _cron(schedule: Schedule, after: datetime) -> Iterator[datetime]:
    last = after
    for local in CronSim(schedule.cron or "", after.astimezone(schedule.zone)):
        instant = local.astimezone(UTC)
        # In the hour that comes twice, CronSim names instants of its first pass; two times in the hour that does not
        # exist fall on the same instant.
        if instant > last:
            last = instant
            yield instant
