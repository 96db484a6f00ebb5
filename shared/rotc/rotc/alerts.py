"""The tables of alerts, in schema `muster`: what was told of failures, to whom. What is told is the notify service's.

They lie in the backend's database, since a notification row is written in the transaction of its alert.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from importlib.resources import files
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg

from rotc.connection import Connection
from rotc.migrate import ensure_schema
from rotc.sql import load

SQL = load("alerts")
#: Several processes start at once. Any constant will do.
_SCHEMA_LOCK = 7_306_041


class Lead(NamedTuple):
    """The right to write, until somebody else has it."""

    version: int
    #: When this database first had alerts.
    since: datetime


class Delivery(NamedTuple):
    """One alert on its way to one recipient."""

    alert_id: UUID
    channel: str
    recipient: str
    tries: int
    expires_at: datetime
    #: JSON.
    facts: str


class Person(NamedTuple):
    """An admin as mail and push reach them. Never logged."""

    id: int
    name: str
    email: str


class PulseRow(NamedTuple):
    """What was told of one part of the pipeline."""

    part: str
    silent_since: datetime | None
    told_at: datetime | None
    told: int


async def ensure(connection: Connection) -> list[str]:
    """Apply the files of alert_migrations/ that this database lacks, all or nothing; their names."""
    folder = files("rotc") / "alert_migrations"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    await ensure_schema(connection)
    async with connection.transaction():
        await connection.execute(SQL["lock_schema"], _SCHEMA_LOCK)
        await connection.execute(SQL["create_history"])
        applied = {row["name"] for row in await connection.fetch(SQL["history"])}
        missing = [name for name in names if name not in applied]
        for name in missing:
            await connection.execute((folder / name).read_text(encoding="utf-8"))
            await connection.execute(SQL["record"], name)
    return missing


async def lead(connection: Connection, holder: str, seconds: float) -> Lead | None:
    """The lead for so long, or longer if it is held already; None while somebody else has it."""
    row = await connection.fetchrow(SQL["lead"], holder, seconds)
    return Lead(row["version"], row["created_at"]) if row else None


async def resign(connection: Connection, holder: str) -> None:
    """Let somebody else lead at once."""
    await connection.execute(SQL["resign"], holder)


async def turn(connection: Connection, version: int, holder: str, seconds: float) -> int | None:
    """Begin a write: the new version, or None when somebody else has written since. Within a transaction."""
    await connection.execute(SQL["bound_turn"])
    found: int | None = await connection.fetchval(SQL["turn"], version, holder, seconds)
    return found


async def read_offsets(connection: Connection, topic: str) -> dict[int, int]:
    """The next offset of each partition that was ever read."""
    return {row["partition"]: row["next_offset"] for row in await connection.fetch(SQL["read_offsets"], topic)}


async def write_offsets(connection: Connection, topic: str, offsets: Mapping[int, int]) -> None:
    if offsets:
        await connection.execute(SQL["write_offsets"], topic, list(offsets), list(offsets.values()))


async def read_groups(connection: Connection, keys: Collection[str], until: datetime) -> list[asyncpg.Record]:
    """The groups of these keys, and at most 1,000 whose time has come by `until`."""
    rows: list[asyncpg.Record] = await connection.fetch(SQL["read_groups"], list(keys), until)
    return rows


async def write_groups(connection: Connection, rows: Iterable[Sequence[Any]]) -> None:
    """Values in the order of the table's columns."""
    await connection.executemany(SQL["write_group"], rows)


async def write_alert(
    connection: Connection, alert_id: UUID, kind: str, severity: str, group: str, facts: str, at: datetime
) -> bool:
    """True when it is new; `facts` as JSON."""
    return await connection.fetchval(SQL["write_alert"], alert_id, kind, severity, group, facts, at) is not None


async def recent_news(connection: Connection, since: datetime) -> list[datetime]:
    """When kinds of failures were told for the first time or anew, oldest first."""
    return [row["at"] for row in await connection.fetch(SQL["recent_news"], since)]


async def address_admins(connection: Connection, alert_id: UUID, channel: str, expires: float, setting: str) -> None:
    """To every approved admin whose user setting of this name (email_alerts or push_notifications) allows it."""
    await connection.execute(SQL["address_admins"], alert_id, channel, expires, setting)


async def address_hooks(connection: Connection, alert_id: UUID, hooks: Collection[str], expires: float) -> None:
    """To webhooks by their digests; `expires` in seconds."""
    await connection.execute(SQL["address_hooks"], alert_id, list(hooks), expires)


async def claim(connection: Connection, limit: int, seconds: float) -> list[Delivery]:
    """Deliveries that are due; nobody else gets them for so long."""
    return [Delivery(*row.values()) for row in await connection.fetch(SQL["claim_deliveries"], limit, seconds)]


async def delivered(connection: Connection, one: Delivery) -> None:
    await connection.execute(SQL["delivered"], one.alert_id, one.channel, one.recipient)


async def deliver_later(connection: Connection, one: Delivery, error: str, seconds: float) -> str | None:
    """Its state after that: open, or expired; None when somebody else has it by now."""
    key = (one.alert_id, one.channel, one.recipient)
    state: str | None = await connection.fetchval(SQL["deliver_later"], *key, one.tries, error, seconds)
    return state


async def refuse(connection: Connection, one: Delivery, error: str) -> None:
    await connection.execute(SQL["refuse_delivery"], one.alert_id, one.channel, one.recipient, error)


async def open_deliveries(connection: Connection) -> int:
    row = await connection.fetchrow(SQL["open_deliveries"])
    return int(row["waiting"]) if row else 0


async def person(connection: Connection, user_id: int) -> Person | None:
    """None: no approved admin any more."""
    row = await connection.fetchrow(SQL["addresses"], user_id)
    return Person(*row.values()) if row else None


async def read_pulses(connection: Connection) -> dict[str, PulseRow]:
    return {row["part"]: PulseRow(*row.values()) for row in await connection.fetch(SQL["read_pulses"])}


async def write_pulse(connection: Connection, row: PulseRow) -> None:
    await connection.execute(SQL["write_pulse"], *row)


async def projection_offsets(connection: Connection, topics: Collection[str]) -> dict[tuple[str, int], int]:
    """How far the tracker has recorded these topics; nothing when its tables lie elsewhere."""
    try:
        rows = await connection.fetch(SQL["projection_offsets"], list(topics))
    except asyncpg.UndefinedTableError:
        return {}
    return {(row["topic"], row["partition"]): row["next_offset"] for row in rows}


async def forget(connection: Connection, days: int) -> None:
    """Delete alerts whose deliveries are over, and groups long silent."""
    await connection.execute(SQL["forget_alerts"], days)
    await connection.execute(SQL["forget_groups"], days)
