"""The waiting room in PostgreSQL: what a folded batch changes in it, and what the leader reads and marks. SQL only."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple, TypeAlias, TypeVar

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from tracker_service.projection.rank import started_rank
from tracker_service.projection.rows import PauseRow
from tracker_service.turns import statements as sql
from tracker_service.turns.decision import Standing
from tracker_service.turns.seat import SEAT_COLUMNS, Seat, SeatKey, seat_values

T = TypeVar("T")

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"

#: Wakes the leader.
TURNS_CHANNEL = "muster_turns"
#: Seats stored, or called, at a time, and the bytes of their records.
_CHUNK, _CHUNK_BYTES = 500, 16 * 1024 * 1024


class Waiting(NamedTuple):
    """A seat without its record, of that many bytes, and what is known beside it; `asked_by`: who revoked it."""

    seat: Seat
    standing: Standing
    asked_by: int | None
    bytes: int = 0


async def merge_seats(connection: Connection, seats: Sequence[Seat]) -> set[str]:
    """Join seats with what is stored; the queues where one waits now. The rows of their tasks are merged before."""
    queues: set[str] = set()
    ordered = sorted(seats, key=lambda seat: seat.key)
    for portion in portions(ordered, lambda seat: len(seat.body or b"")):
        columns = zip(*map(seat_values, portion), strict=True)
        rows = await connection.fetch(sql.MERGE_SEATS, *columns)
        queues |= {row["queue"] for row in rows if row["stage"] % 2 == 0}
    return queues


async def remove_ended(connection: Connection, task_ids: Collection[str]) -> set[str]:
    """Remove the seats of those of these tasks that have ended; the queues that changed."""
    return {row["queue"] for row in await connection.fetch(sql.REMOVE_ENDED, list(task_ids))}


async def merge_pauses(connection: Connection, pauses: Collection[PauseRow]) -> set[str]:
    """Store pauses and resumes; the queues they concern."""
    for row in sorted(pauses):
        await connection.execute(sql.MERGE_PAUSE, *row)
    types = [row.task_type for row in pauses]
    return {row["queue"] for row in await connection.fetch(sql.QUEUES_OF_TYPES, types)}


async def make_due(connection: Connection, queues: Collection[str], *, after: float = 0.0) -> None:
    """The leader looks at these queues, `after` seconds from now."""
    if queues:
        await connection.execute(sql.ADD_DUE, sorted(queues), after)


async def make_all_due(connection: Connection) -> None:
    await connection.execute(sql.ADD_ALL_DUE)


async def take_due(connection: Connection, limit: int) -> list[str]:
    """Queues to look at now. They are forgotten by it: who fails to look makes all of them due."""
    return [row["queue"] for row in await connection.fetch(sql.TAKE_DUE, limit)]


async def first_of(connection: Connection, queues: Collection[str]) -> list[Waiting]:
    """The first of each of these queues, those submitted earlier first."""
    return [_waiting(row) for row in await connection.fetch(sql.FIRST_OF_QUEUES, list(queues))]


async def taken_back(connection: Connection, now: datetime) -> list[Waiting]:
    """Seats that wait although their task is revoked or expired, wherever in their queue."""
    return [_waiting(row) for row in await connection.fetch(sql.TAKEN_BACK, now)]


async def unsent(connection: Connection, limit: int) -> list[Seat]:
    """Marked seats of which nobody knows whether their call was written."""
    return [_seat(row) for row in await connection.fetch(sql.UNSENT, limit)]


async def uncleared(connection: Connection, limit: int) -> list[tuple[SeatKey, str]]:
    """Seats that wait, and the lane record each of them came from."""
    rows = await connection.fetch(sql.UNCLEARED, limit)
    return [(SeatKey(row["task_id"], row["redrive"]), row["left"]) for row in rows]


async def clear(connection: Connection, seats: Sequence[tuple[SeatKey, str]]) -> set[str]:
    """The lane records of these seats are handed to nobody any more; the queues that changed."""
    named = [key.task_id for key, _ in seats], [key.redrive for key, _ in seats], [left for _, left in seats]
    return {row["queue"] for row in await connection.fetch(sql.CLEAR, *named)}


async def mark(connection: Connection, seats: Sequence[Seat]) -> list[Seat]:
    """Mark seats as called, before anything is written: those that still stood as decided on, with their records.

    Locked first, looked at then: recovery reads the stage of a seat behind the same lock (recovery/claims.py), so it
    either sees the mark, or what it judged by is seen here.
    """
    highest = [started_rank(seat.redrive, seat.attempt, seat.delivery) for seat in seats]
    async with connection.transaction():
        await connection.execute(sql.LOCK_SEATS, *_named(seats)[:2])
        found = await connection.fetch(sql.MARK, *_named(seats), highest)
    rows = {SeatKey(row["task_id"], row["redrive"]): row for row in found}
    return [
        replace(seat, stage=seat.stage + 1, headers=row["headers"], body=row["body"])
        for seat in seats
        if (row := rows.get(seat.key)) is not None
    ]


async def note_sent(connection: Connection, seats: Sequence[Seat]) -> None:
    """The calls of these seats, given as they are after their mark, are in Kafka."""
    await connection.execute(sql.NOTE_SENT, *_named(seats))


def portions(items: Sequence[T], size: Callable[[T], int]) -> Iterator[list[T]]:
    """In order, each of a bounded number and, but for a single large one, of bounded bytes."""
    portion: list[T] = []
    total = 0
    for item in items:
        if portion and (len(portion) == _CHUNK or total + size(item) > _CHUNK_BYTES):
            yield portion
            portion, total = [], 0
        portion.append(item)
        total += size(item)
    if portion:
        yield portion


def _named(seats: Sequence[Seat]) -> tuple[list[str], list[int], list[int]]:
    return [s.task_id for s in seats], [s.redrive for s in seats], [s.stage for s in seats]


def _waiting(row: asyncpg.Record) -> Waiting:
    standing = Standing(row["rank"], row["paused"], row["revoked"], row["queue_busy"], row["claims_void"])
    return Waiting(_seat(row), standing, row["asked_by"], row["bytes"])


def _seat(row: asyncpg.Record) -> Seat:
    return Seat(**{name: row[name] for name in SEAT_COLUMNS})
