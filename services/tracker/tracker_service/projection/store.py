"""Writes a folded batch and its offsets to PostgreSQL, in one transaction. What the rows mean is fold.py's.

`synchronous_commit` is off in the pool of a `Store`. That is safe: after a crash of the database the last commits (at
most 0.6 s of them) are gone whole, offsets included, and the same records are folded again. Nothing outside depends
on them earlier: recovery waits until its own redeliveries are folded, and a task submitted through the API is in
Kafka before its row is written, so its row comes back as well. Commits that Kafka cannot bring back (API keys) are
made elsewhere, durably.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

import asyncpg
from asyncpg.pool import PoolConnectionProxy
from muster.contracts.errors import StoreError
from muster.ports import TopicPartition

from tracker_service.projection import statements as sql
from tracker_service.projection.fold import Fold
from tracker_service.projection.rows import task_values
from tracker_service.turns import room

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
#: From where the fold stood to where it stands after the batch.
Advance: TypeAlias = Mapping[TopicPartition, tuple[int, int]]

#: Wakes whoever waits for tasks to end, in every tracker process.
ENDED_CHANNEL = "muster_ended"

CHUNK = 2000
T = TypeVar("T")

#: What PostgreSQL raises when it cannot answer now, as opposed to a value it cannot hold.
UNAVAILABLE = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    # What asyncpg says when the server ends a connection in the middle of an exchange.
    asyncpg.InternalClientError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
)


class OffsetsMoved(StoreError):
    """Another tracker has folded some of these records: nothing was written, read from the stored offsets again."""


class Store:
    """The tables of the projection."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def write(self, fold: Fold, advance: Advance) -> None:
        """Write a batch and its offsets: all or nothing.

        Raises:
            OffsetsMoved: the stored offsets are not where `advance` begins.
            asyncpg.DataError: a value cannot be stored.
            UNAVAILABLE: the database did not answer; whether it wrote is unknown.
        """
        async with self._pool.acquire() as connection:
            await connection.execute("BEGIN")
            try:
                await _advance(connection, advance)
                await merge(connection, fold)
                woken = await _merge_turns(connection, fold, seats=bool(advance))
                # Together, because at idle the round trips are what a batch costs.
                await connection.execute(woken + (f"NOTIFY {ENDED_CHANNEL}; COMMIT" if fold.finished() else "COMMIT"))
            except BaseException:
                if not connection.is_closed():
                    await connection.execute("ROLLBACK")
                raise

    async def begin(self, starts: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        """The stored offsets of these partitions; those not stored yet begin at `starts`."""
        topics, partitions = [tp.topic for tp in starts], [tp.partition for tp in starts]
        async with self._pool.acquire() as connection:
            await connection.execute(sql.ADD_OFFSETS, topics, partitions, list(starts.values()))
            rows = await connection.fetch(sql.READ_OFFSETS, topics, partitions)
        return {TopicPartition(row["topic"], row["partition"]): row["next_offset"] for row in rows}


async def merge(connection: Connection, fold: Fold) -> None:
    """Join a batch with what is stored, within the caller's transaction; who waits for an end is told by the caller."""
    for statement, batch in _batches(fold):
        await _columns(connection, statement, batch)
    for statement, rows in ((sql.MERGE_WORKER, fold.workers), (sql.MERGE_CATALOG, fold.catalog)):
        for key in sorted(rows):
            await connection.execute(statement, *rows[key])


def _batches(fold: Fold) -> Iterator[tuple[str, Sequence[Iterable[Any]]]]:
    """In the order of writing; rows in the order of their keys, so that two trackers lock them alike."""
    # Tasks first: their rows are locked, so what a claim is compared with is settled.
    yield sql.MERGE_TASKS, [task_values(row) for row in _by_key(fold.tasks)]
    yield sql.MERGE_ATTEMPTS, _by_key(fold.attempts)
    yield sql.MERGE_ROUNDS, _by_key(fold.rounds)
    yield sql.DELETE_ENDED_CLAIMS, sorted(fold.ended)
    yield sql.MERGE_CLAIMS, sorted((*claim.key, *claim[1:]) for claim in fold.open_claims())
    yield sql.ADD_HAND_BACKS, sorted(fold.hand_backs)
    yield sql.MERGE_PROGRESS, _by_key(fold.progress)
    yield sql.MERGE_REVOCATIONS, _by_key(fold.revocations)
    yield sql.MERGE_RULES, _by_key(fold.rules)
    yield sql.ADD_MET, _by_key(fold.met)


def _by_key(rows: Mapping[Any, T]) -> list[T]:
    return [rows[key] for key in sorted(rows)]


async def _merge_turns(connection: Connection, fold: Fold, *, seats: bool) -> str:
    """The waiting room's share of a batch; what to say to whoever calls its tasks.

    Only the projector deals out seats: it meets the records of a partition in their order, the API meets its own first.
    """
    queues: set[str] = set()
    if fold.pauses:
        queues |= await room.merge_pauses(connection, fold.pauses.values())
    if seats:
        if fold.seats:
            queues |= await room.merge_seats(connection, list(fold.seats.values()))
        if ended := fold.finished():
            queues |= await room.remove_ended(connection, ended)
    await room.make_due(connection, queues)
    return f"NOTIFY {room.TURNS_CHANNEL}; " if queues else ""


async def _advance(connection: Connection, advance: Advance) -> None:
    if not advance:
        return
    rows = [(*partition, expected, following) for partition, (expected, following) in sorted(advance.items())]
    done = await connection.execute(sql.ADVANCE_OFFSETS, *zip(*rows, strict=True))
    if done != f"UPDATE {len(rows)}":
        raise OffsetsMoved("another tracker has folded these records")


async def _columns(connection: Connection, statement: str, rows: Sequence[Iterable[Any]]) -> None:
    # Encoding holds the loop, 5 ms for this many rows: the API shall answer in between.
    for start in range(0, len(rows), CHUNK):
        await connection.execute(statement, *zip(*rows[start : start + CHUNK], strict=True))
