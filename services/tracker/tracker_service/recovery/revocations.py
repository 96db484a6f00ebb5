"""Keeps the control topic small and its orders confirmed; the leader's work. Workers obey orders without it.

Three things, each by facts and no guess about time (docs/decisions/0008): an order by id is withdrawn once no record of
its task can come any more; a task that is due far away is REVOKED at once, while its order stays for whoever meets the
record; a rule becomes one order for each of its tasks.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import asyncpg
from muster.contracts.control import RULE_PREFIX, Revocation, revocation_key
from muster.contracts.events import Revoked, encode_event, encode_json
from muster.contracts.topics import Topics
from muster.observability.logging import get_logger
from muster.ports import Admin, Clock, TopicPartition

from tracker_service.projection.scribe import Scribe
from tracker_service.recovery import orders
from tracker_service.recovery.barrier import Barrier

#: Nearer due times are left to the worker: its REVOKED comes soon enough, and clocks may differ.
FAR_SECONDS = 60.0
#: What waits in Kafka is deleted after 14 days in a lane, or 7 after its 36 hours in a retry topic.
OUTLIVED = timedelta(days=30)
FORGOTTEN = timedelta(hours=1)
#: A look at many orders is not repeated before so many times its own length.
REST = 10

_log = get_logger(__name__)


class Revocations:
    """One installation's standing orders."""

    def __init__(
        self, admin: Admin, scribe: Scribe, barrier: Barrier, topics: Topics, clock: Clock, tracker: str
    ) -> None:
        self._admin = admin
        self._scribe = scribe
        self._barrier = barrier
        self._topics = topics
        self._clock = clock
        self._tracker = tracker
        self._rest_until = 0.0

    async def round(self, connection: asyncpg.Connection[asyncpg.Record]) -> None:
        """Look once at everything that stands.

        Raises:
            BrokerError, StoreError, UNAVAILABLE: the next round does what is missing.
        """
        began = self._clock.monotonic()
        if began < self._rest_until:
            return
        await self._expand_rules(connection)
        await self._confirm_far(connection)
        await self._withdraw(connection)
        now = self._clock.monotonic()
        self._rest_until = now + REST * (now - began)

    async def _expand_rules(self, connection: asyncpg.Connection[asyncpg.Record]) -> None:
        """The rule was in Kafka before the barrier, so every task that was written before it is visible behind it."""
        rules = await orders.rules(connection)
        if not rules:
            return
        await self._barrier.pass_in(connection)
        for rule in rules:
            last, count = "", 0
            while rows := await orders.taken_back(connection, rule, last):
                named = [_order(rule, row) for row in rows]
                await self._scribe.write(self._topics.control, [(order.key, encode_json(order)) for order in named])
                last, count = rows[-1]["task_id"], count + len(rows)
            await self._scribe.write(self._topics.control, [(f"{RULE_PREFIX}{rule['rule_id']}".encode(), None)])
            _log.info("Every task of a rule is revoked by id", action="revocation.expanded", tasks=count)

    async def _confirm_far(self, connection: asyncpg.Connection[asyncpg.Record]) -> None:
        while rows := await orders.far(connection, self._clock.now() + timedelta(seconds=FAR_SECONDS)):
            now = self._clock.now()
            said = [(row["task_id"].encode(), encode_event(self._revoked(row, now))) for row in rows]
            await self._scribe.write(self._topics.events, said)

    def _revoked(self, row: asyncpg.Record, now: datetime) -> Revoked:
        said = {name: row[name] for name in ("task_id", "task_type", "redrive", "attempt", "delivery", "reason")}
        return Revoked(**said, worker=self._tracker, at=now, by=row["asked_by"], due=row["next_attempt_at"])

    async def _withdraw(self, connection: asyncpg.Connection[asyncpg.Record]) -> None:
        now = self._clock.now()
        settled = {*await orders.done(connection), *await orders.outlived(connection, now - OUTLIVED)}
        met = await orders.met(connection)
        committed = await self._committed({record.topic for record in met})
        settled |= {
            (record.task_id, record.redrive) for record in met if record.is_behind(committed, self._topics.keyed)
        }
        await self._scribe.write(self._topics.control, [(revocation_key(*order), None) for order in sorted(settled)])
        await orders.forget_met(connection, now - FORGOTTEN)

    async def _committed(self, topics: set[str]) -> dict[TopicPartition, int]:
        services = {self._topics.service_of_lane(topic) for topic in topics}
        committed: dict[TopicPartition, int] = {}
        for service in sorted(service for service in services if service):
            committed |= await self._admin.committed(self._topics.group(service))
        return committed


def _order(rule: asyncpg.Record, row: asyncpg.Record) -> Revocation:
    return Revocation(
        task_id=row["task_id"], at=rule["requested_at"], terminate=rule["terminate"], by=rule["asked_by"],
        reason=rule["reason"], redrive=row["redrive"],
    )  # fmt: skip
