"""Deletes what the projection knows of tasks that ended long ago, one tracker at a time. Payloads are sweeping.py's.

A row goes only when nothing can need it any more: its records have left every topic, its dead letter can no longer be
redriven, its payload is removed, and no order against it stands. Guards of effects are not touched: they lie with the
effects.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

import asyncpg
from muster.contracts.claim_check import DEAD_LETTER_KEPT
from muster.contracts.errors import StoreError
from muster.contracts.instants import instants_after
from muster.contracts.schedule import Schedule, check_schedule
from muster.observability.logging import get_logger
from muster.ports import Clock

from tracker_service.projection.store import UNAVAILABLE
from tracker_service.recovery.leadership import Leadership

#: The wall clock is looked at so often while a round is waited for: it may be set.
LOOK_SECONDS = 60.0
#: Tasks deleted in one transaction.
CHUNK = 1000
#: What is known of a task beside its row.
BESIDE = ("claims", "attempts", "progress", "hand_backs", "rounds", "revocations", "revoked_records")

_log = get_logger(__name__)
_BESIDE = "".join(
    f"{name} AS (DELETE FROM muster.{name} o USING gone WHERE o.task_id = gone.task_id), "  # noqa: S608
    for name in BESIDE
)
# By the time of submission, which is indexed and, but for a producer's wrong clock, before the end. Locked, so that
# nobody begins a new round meanwhile; `MATERIALIZED`, so that all the deletes mean the same tasks.
_DELETE = f"""
    WITH gone AS MATERIALIZED (
        SELECT t.task_id FROM muster.tasks t
        WHERE t.submitted_at < greatest($1::timestamptz, $2::timestamptz)
            AND t.finished_at < CASE WHEN t.state = 'FAILURE' THEN $2::timestamptz ELSE $1::timestamptz END
            AND NOT EXISTS (
                SELECT FROM muster.revocations r WHERE r.task_id = t.task_id AND r.requested_at IS NOT NULL)
            AND NOT EXISTS (SELECT FROM muster.turns s WHERE s.task_id = t.task_id)
        ORDER BY t.submitted_at LIMIT {CHUNK} FOR UPDATE OF t SKIP LOCKED),
    {_BESIDE}
    tasks AS (DELETE FROM muster.tasks USING gone WHERE tasks.task_id = gone.task_id RETURNING 1)
    SELECT count(*) FROM tasks"""  # noqa: S608


class Cutoffs(NamedTuple):
    """Tasks that ended before these instants may go."""

    #: SUCCESS and REVOKED.
    done: datetime
    failed: datetime


def cutoffs(now: datetime, *, kept: timedelta, payloads_kept: timedelta) -> Cutoffs:
    """`kept` is the setting; what failed stays as long as its dead letter, everything as long as its payload."""
    return Cutoffs(now - max(kept, payloads_kept), now - max(kept, payloads_kept, DEAD_LETTER_KEPT))


def next_round(at: str, now: datetime) -> datetime:
    """The first instant after `now` that `at` means: five fields of cron, and the name of their time zone.

    Raises:
        InvalidSchedule: it means none.
    """
    *fields, zone = at.split() or [""]
    # No task is started by it, so whose lane it would go to does not matter.
    schedule = Schedule(name="retention", task_type="", service="notify", cron=" ".join(fields), time_zone=zone)
    check_schedule(schedule)
    return next(instants_after(schedule, now))


class Retention:
    """The retention of one installation; only the leader's rounds do anything."""

    def __init__(
        self, leadership: Leadership, at: str, kept: timedelta, payloads_kept: timedelta, clock: Clock
    ) -> None:
        self._leadership = leadership
        self._at = at
        self._kept = kept
        self._payloads_kept = payloads_kept
        self._clock = clock

    async def run(self) -> None:
        """Delete at each of its times until cancelled; what an outage leaves is the next round's."""
        while True:
            due = next_round(self._at, self._clock.now())
            while (left := (due - self._clock.now()).total_seconds()) > 0:
                await self._clock.sleep(min(left, LOOK_SECONDS))
            try:
                connection = await self._leadership.connection()
                if connection is not None:
                    await self.round(connection)
            except (StoreError, *UNAVAILABLE) as error:
                _log.warning("A round of retention failed", action="retention.failed", error=str(error))
            finally:
                # The lock is for the round: an idle connection for a day would be one more to lose.
                await self._leadership.resign()

    async def round(self, connection: asyncpg.Connection[asyncpg.Record]) -> int:
        """Delete everything that is over its time now, a batch after the other; how many tasks that were.

        Raises:
            UNAVAILABLE: the database did not answer; the next round does what is missing.
        """
        before = cutoffs(self._clock.now(), kept=self._kept, payloads_kept=self._payloads_kept)
        deleted = 0
        while count := await connection.fetchval(_DELETE, before.done, before.failed):
            deleted += count
        if deleted:
            _log.info("Deleted tasks that ended long ago", action="retention.deleted", tasks=deleted)
        return deleted
