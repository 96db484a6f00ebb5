"""PostgreSQL for the engine: the pool, and the guards that let an effect happen once.

What the effects are is the services' business.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import asyncpg
import msgspec
from asyncpg.pool import PoolConnectionProxy

from muster.contracts.errors import StoreError

Connection: TypeAlias = "PoolConnectionProxy[asyncpg.Record]"

#: What asyncpg raises when the database refuses or does not answer; InternalClientError when the connection is lost in
#: the moment between two statements.
DATABASE_FAILURES = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)

_SCHEMA = """
CREATE SCHEMA IF NOT EXISTS muster;
CREATE TABLE IF NOT EXISTS muster.effects (
    task_id text NOT NULL,
    name    text NOT NULL,
    result  jsonb,
    at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (task_id, name)
);
COMMENT ON TABLE muster.effects IS 'Effects that have happened, one row each, written in the transaction of the effect';
"""
# As text, so that it does not matter whether the pool has a codec for jsonb.
_CLAIM = "INSERT INTO muster.effects (task_id, name) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING true"
_RECALL = "SELECT result::text FROM muster.effects WHERE task_id = $1 AND name = $2"
_KEEP = "UPDATE muster.effects SET result = $3::text::jsonb WHERE task_id = $1 AND name = $2"
#: Several services may start at once, and CREATE ... IF NOT EXISTS is not safe against itself. Any constant will do.
_SCHEMA_LOCK = 7_306_011


async def create_pool(
    dsn: str,
    *,
    min_size: int = 1,
    max_size: int = 10,
    application_name: str = "muster",
    statement_timeout: float | None = None,
) -> asyncpg.Pool:
    """A pool whose json and jsonb values are Python values; `statement_timeout` in seconds.

    The DSN is libpq's: TCP or `?host=/folder` of a unix socket, `?sslmode=verify-full` and the like.

    Raises:
        StoreError: the database cannot be reached or refuses us; the message holds no password.
    """
    settings = {"application_name": application_name}
    if statement_timeout is not None:
        settings["statement_timeout"] = str(int(statement_timeout * 1000))
    try:
        pool: asyncpg.Pool = await asyncpg.create_pool(
            dsn, min_size=min_size, max_size=max_size, server_settings=settings, init=_speak_json, timeout=10
        )
    except (*DATABASE_FAILURES, ValueError) as error:
        raise StoreError(f"PostgreSQL cannot be used: {_reason(error)}; check MUSTER_DATABASE_URL") from error
    return pool


async def _speak_json(connection: Any) -> None:
    for name in ("json", "jsonb"):
        await connection.set_type_codec(
            name, schema="pg_catalog", encoder=_encode, decoder=msgspec.json.decode, format="text"
        )


def _encode(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _reason(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return str(_without_rows(error)) or type(error).__name__


def _without_rows(error: BaseException) -> BaseException:
    """The error without PostgreSQL's DETAIL, which quotes the row it refuses: people's data, bound for dead letters."""
    if isinstance(error, asyncpg.PostgresError):
        error.detail = None
    return error


class GuardedEffect:
    """One effect inside its transaction (ports.Effect)."""

    def __init__(self, connection: Connection, done: bool, result: Any) -> None:
        self._connection, self._done, self._result = connection, done, result
        #: What `finish` was given, as JSON text.
        self.outcome: str | None = None

    @property
    def done(self) -> bool:
        return self._done

    @property
    def result(self) -> Any:
        return self._result

    @property
    def connection(self) -> Connection:
        return self._connection

    def finish(self, result: Any = None) -> None:
        """Set the result that is stored with the guard when the block ends; later runs get it as `result`.

        Raises:
            RuntimeError: an earlier run already had this effect.
            TypeError: the result cannot be written as JSON.
        """
        if self._done:
            raise RuntimeError("the effect was already done by an earlier run: use its result, do not finish it again")
        self.outcome = _encode(result)
        self._result = result


class EffectStore:
    """Guards in `muster.effects`: whoever inserts (task, name) first has the effect, in the same transaction.

    Two runs at once: the second INSERT waits for the first transaction (the unique index holds it). If the first
    commits, DO NOTHING inserts no row, and a SELECT, being a later statement under READ COMMITTED, sees the row and
    its result. If the first rolls back or its process dies, the second INSERT succeeds and the effect is its own.
    The guard row therefore is never seen without its effect, nor the effect without its guard.
    """

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def ensure(self) -> None:
        """Create the table where it is missing.

        Raises:
            StoreError: the database refused.
        """
        try:
            async with self._pool.acquire() as connection, connection.transaction():
                await connection.execute("SELECT pg_advisory_xact_lock($1)", _SCHEMA_LOCK)
                await connection.execute(_SCHEMA)
        except DATABASE_FAILURES as error:
            raise StoreError(f"the table muster.effects cannot be created: {_reason(error)}") from error

    @asynccontextmanager
    async def once(self, task_id: str, name: str) -> AsyncIterator[GuardedEffect]:
        """A transaction that holds the guard; the block writes the effect through `connection`, unless it is `done`.

        Leaving the block says that the effect has happened; an exception in it rolls back both. Errors of the block's
        own statements come out as they are, but for PostgreSQL's DETAIL, which quotes the row.

        Raises:
            StoreError: the guard could not be taken or the transaction not be committed.
        """
        async with self._transaction() as connection:
            effect = await self._claim(connection, task_id, name)
            yield effect
            if effect.outcome is not None:
                await self._keep(connection, task_id, name, effect.outcome)

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[Connection]:
        try:
            connection = await self._pool.acquire()
        except DATABASE_FAILURES as error:
            raise StoreError(f"PostgreSQL cannot be used: {_reason(error)}") from error
        try:
            transaction = connection.transaction(isolation="read_committed")
            await transaction.start()
            try:
                yield connection
            except BaseException as error:
                await _roll_back(transaction)
                _without_rows(error)
                raise
            try:
                await transaction.commit()
            except DATABASE_FAILURES as error:
                raise StoreError(f"the effect could not be committed: {_reason(error)}") from error
        finally:
            await self._pool.release(connection)

    async def _claim(self, connection: Connection, task_id: str, name: str) -> GuardedEffect:
        try:
            if await connection.fetchval(_CLAIM, task_id, name):
                return GuardedEffect(connection, False, None)
            result = await connection.fetchval(_RECALL, task_id, name)
        except DATABASE_FAILURES as error:
            raise StoreError(f"the guard of effect {name} could not be taken: {_reason(error)}") from error
        return GuardedEffect(connection, True, None if result is None else msgspec.json.decode(result))

    async def _keep(self, connection: Connection, task_id: str, name: str, result: str) -> None:
        try:
            await connection.execute(_KEEP, task_id, name, result)
        except DATABASE_FAILURES as error:
            raise StoreError(f"the result of effect {name} could not be kept: {_reason(error)}") from error


async def _roll_back(transaction: Any) -> None:
    """Roll back where there is still a connection to do it on; a broken one has rolled back by itself."""
    try:
        await transaction.rollback()
    except DATABASE_FAILURES:
        return
