"""Whom a push task is for, and what became of each push so far. Sending is the notify service's.

The records lie in schema `muster`: the backend has no such table.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from rotc.connection import Connection
from rotc.sql import load
from rotc.web_push import Subscription

SQL = load("push_deliveries")
#: Subscriptions held in memory at once, besides those being pushed to.
PAGE = 500
_SCHEMA_LOCK = 7_306_043


class Connections(Protocol):
    """Lends a connection, as a pool does."""

    def acquire(self) -> AbstractAsyncContextManager[Any]: ...


@dataclass(frozen=True)
class Audience:
    """The people who are meant: those named, or all; everybody, or the approved of one role."""

    user_ids: tuple[int, ...] | None = None
    approved_only: bool = False
    role: str | None = None

    @property
    def arguments(self) -> tuple[list[int] | None, bool, str | None]:
        return None if self.user_ids is None else list(self.user_ids), self.approved_only, self.role


@dataclass(frozen=True, slots=True)
class Target:
    """One browser to be pushed to, by its push_subscriptions.id."""

    id: int
    subscription: Subscription


async def ensure(connection: Connection) -> None:
    """Create the table where it is missing."""
    async with connection.transaction():
        await connection.execute(SQL["lock_schema"], _SCHEMA_LOCK)
        await connection.execute(SQL["create_schema"])
        await connection.execute(SQL["create_table"])


async def notify_audience(
    connection: Connection, audience: Audience, message: str, kind: str, *, besides: int | None = None
) -> None:
    """One notification for each person meant, except the one (users.id) who has it already."""
    await connection.execute(SQL["notify_audience"], *audience.arguments, message, kind, besides)


async def count_audience(connection: Connection, audience: Audience) -> int:
    return int(await connection.fetchval(SQL["count_audience"], *audience.arguments))


async def newest_subscription(connection: Connection) -> int:
    """push_subscriptions.id up to which a task goes: who subscribes later is not meant."""
    return int(await connection.fetchval(SQL["newest_subscription"]))


async def notification(connection: Connection, notification_id: int) -> tuple[int, str, str] | None:
    """users.id, message and type of one notification; None when there is none."""
    row = await connection.fetchrow(SQL["notification"], notification_id)
    return None if row is None else (row["user_id"], row["message"], row["type"])


async def count_targets(connection: Connection, audience: Audience, task_id: str, newest: int) -> int:
    """How many browsers are still to be pushed to."""
    return int(await connection.fetchval(SQL["count_targets"], *audience.arguments, task_id, newest))


async def targets(pool: Connections, audience: Audience, task_id: str, newest: int) -> AsyncIterator[Target]:
    """The browsers still to be pushed to, a page at a time.

    By pages and not by a cursor: a cursor would keep a transaction open for as long as push services take to answer.
    """
    after = 0
    while True:
        async with pool.acquire() as connection:
            rows = await connection.fetch(SQL["next_page"], *audience.arguments, task_id, after, newest, PAGE)
        for row in rows:
            if row["wanted"]:
                yield Target(row["id"], Subscription(row["endpoint"] or "", row["p256dh"] or "", row["auth"] or ""))
        if len(rows) < PAGE:
            return
        after = rows[-1]["id"]


async def record(connection: Connection, task_id: str, outcomes: Mapping[int, str], expired: Sequence[Target]) -> None:
    """Write down what became of subscriptions (push_subscriptions.id -> outcome), and delete those that are gone."""
    async with connection.transaction():
        await connection.execute(SQL["record_deliveries"], task_id, list(outcomes), list(outcomes.values()))
        if expired:
            gone = [target.id for target in expired], [target.subscription.auth for target in expired]
            await connection.execute(SQL["drop_expired"], *gone)


async def count_deliveries(connection: Connection, task_id: str) -> dict[str, int]:
    """How many pushes of a task ended how."""
    return {row["outcome"]: row["number"] for row in await connection.fetch(SQL["count_deliveries"], task_id)}


async def forget(connection: Connection, task_id: str) -> None:
    """Drop the records of a task that has ended."""
    await connection.execute(SQL["forget_deliveries"], task_id)
