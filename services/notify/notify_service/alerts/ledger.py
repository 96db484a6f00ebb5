"""Keeps groups, alerts and offsets: a batch is one transaction, fenced against a second writer.

What is decided in it is domain/alerting.py's; the tables are rotc's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeAlias

import asyncpg
import rotc.alerts as tables
from muster.contracts.errors import StoreError
from rotc.connection import Connection

from notify_service.alerts.addressing import Addressing
from notify_service.domain.alert_rules import Failed, Rules
from notify_service.domain.alerting import Alert, Group, Letter, Phase, advance
from notify_service.domain.storms import TOGETHER_KEY, Gate, take_in

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"

#: Another process takes over when the leader has written nothing for so long.
LEAD_SECONDS = 5.0
#: Failures from longer before the alerts were first installed are counted, but nobody is told.
OLD_NEWS = timedelta(days=1)
KEEP_DAYS = 120


class Fenced(StoreError):
    """Somebody else has written since: nothing of this batch was."""


class Ledger:
    """One process's hold on the tables of alerts."""

    def __init__(self, pool: Pool, topic: str, holder: str, rules: Rules, addressing: Addressing) -> None:
        self._pool = pool
        self._topic = topic
        self._holder = holder
        self._rules = rules
        self._addressing = addressing
        self._lead: tables.Lead | None = None

    @property
    def leads(self) -> bool:
        return self._lead is not None

    async def lead(self) -> bool:
        """Whether this process may write; asked again, it may for longer."""
        async with self._pool.acquire() as connection:
            self._lead = await tables.lead(connection, self._holder, LEAD_SECONDS)
        return self._lead is not None

    async def resign(self) -> None:
        self._lead = None
        async with self._pool.acquire() as connection:
            await tables.resign(connection, self._holder)

    async def offsets(self) -> dict[int, int]:
        async with self._pool.acquire() as connection:
            return await tables.read_offsets(connection, self._topic)

    async def fold(self, letters: Sequence[Letter], until: datetime, offsets: Mapping[int, int]) -> list[Alert]:
        """Take letters in, in the order of their times, and let time pass; returns the alerts, which are written.

        Raises:
            Fenced: another process leads; read where it stands, should it ever end.
        """
        async with self._pool.acquire() as connection, connection.transaction():
            version, since = await self._turn(connection)
            groups = await self._groups(connection, {*(letter.key for letter in letters), TOGETHER_KEY}, until)
            gate = await self._gate(connection, letters)
            for letter in letters:
                take_in(groups, letter, self._rules, gate, told=letter.at >= since)
            for group in groups.values():
                advance(group, self._rules.of(group.failed), until)
            alerts = sorted((a for group in groups.values() for a in group.alerts), key=lambda a: (a.at, str(a.id)))
            await tables.write_groups(connection, [self._row(group) for group in groups.values()])
            await self._write(connection, alerts)
            await tables.write_offsets(connection, self._topic, offsets)
        self._advance(version)
        return alerts

    async def pulses(self) -> dict[str, tables.PulseRow]:
        async with self._pool.acquire() as connection:
            return await tables.read_pulses(connection)

    async def write_pulses(self, rows: Iterable[tables.PulseRow], alerts: Sequence[Alert]) -> None:
        """What was found out about the pipeline. Raises Fenced."""
        async with self._pool.acquire() as connection, connection.transaction():
            version, _ = await self._turn(connection)
            for row in rows:
                await tables.write_pulse(connection, row)
            await self._write(connection, alerts)
        self._advance(version)

    async def projected(self, topics: Collection[str]) -> dict[tuple[str, int], int]:
        """How far the tracker stands in these topics, as far as that can be seen from here."""
        async with self._pool.acquire() as connection:
            return await tables.projection_offsets(connection, topics)

    async def forget(self) -> None:
        async with self._pool.acquire() as connection:
            await tables.forget(connection, KEEP_DAYS)

    async def _turn(self, connection: Connection) -> tuple[int, datetime]:
        """The version after this write, and from when on failures are news."""
        if self._lead is None:
            raise Fenced("this process does not lead")
        version = await tables.turn(connection, self._lead.version, self._holder, LEAD_SECONDS)
        if version is None:
            self._lead = None
            raise Fenced("another process reads the dead letters now")
        return version, self._lead.since - OLD_NEWS

    def _advance(self, version: int) -> None:
        if self._lead is not None:
            self._lead = self._lead._replace(version=version)

    async def _gate(self, connection: Connection, letters: Sequence[Letter]) -> Gate:
        storm = self._rules.storm
        recent = await tables.recent_news(connection, letters[0].at - storm.window) if letters else []
        return Gate(storm, recent)

    async def _groups(self, connection: Connection, keys: Collection[str], until: datetime) -> dict[str, Group]:
        return {row["key"]: _group(row) for row in await tables.read_groups(connection, keys, until)}

    async def _write(self, connection: Connection, alerts: Sequence[Alert]) -> None:
        for alert in alerts:
            await self._addressing.write(connection, alert)

    def _row(self, group: Group) -> tuple[Any, ...]:
        due = group.due(self._rules.of(group.failed))
        return (
            group.key, *group.failed, str(group.phase), group.first_seen, group.last_seen, group.anchor, group.episode,
            group.total, group.in_episode, group.pending, group.window_ends, group.muted, group.escalated, group.told,
            group.message, group.attempts, group.task_id, due,
        )  # fmt: skip


def _group(row: asyncpg.Record) -> Group:
    values = dict(row)
    failed = Failed(*(values.pop(name) for name in Failed._fields))
    return Group(**{**values, "failed": failed, "phase": Phase(values["phase"])})
