"""An effect happens once, whatever runs twice: EffectStore on a real PostgreSQL. The effects of services are theirs."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import AsyncIterator

import asyncpg
import pytest
from muster.adapters.postgres import EffectStore, GuardedEffect, create_pool
from muster.contracts.errors import StoreError

pytestmark = pytest.mark.postgres


@pytest.fixture
async def pool(postgres: str) -> AsyncIterator[asyncpg.Pool]:
    pool = await create_pool(postgres, max_size=20)
    await pool.execute("CREATE TABLE letters (task text)")
    yield pool
    await pool.close()


@pytest.fixture
async def store(pool: asyncpg.Pool) -> EffectStore:
    store = EffectStore(pool)
    await store.ensure()
    return store


async def write_letter(store: EffectStore, task: str) -> object:
    async with store.once(task, "letter") as effect:
        if not effect.done:
            await effect.connection.execute("INSERT INTO letters VALUES ($1)", task)
            effect.finish({"written": task, "lines": [1, 2]})
        return effect.result


async def letters(pool: asyncpg.Pool) -> int:
    count: int = await pool.fetchval("SELECT count(*) FROM letters")
    return count


async def guards(pool: asyncpg.Pool) -> int:
    count: int = await pool.fetchval("SELECT count(*) FROM muster.effects")
    return count


async def test_a_second_run_gets_the_result_of_the_first_and_writes_nothing(
    store: EffectStore, pool: asyncpg.Pool
) -> None:
    first = await write_letter(store, "t1")
    second = await write_letter(store, "t1")

    assert first == second == {"written": "t1", "lines": [1, 2]}
    assert await letters(pool) == 1


async def test_another_effect_of_the_same_task_is_another_guard(store: EffectStore, pool: asyncpg.Pool) -> None:
    await write_letter(store, "t1")

    async with store.once("t1", "mail") as effect:
        assert not effect.done

    async with store.once("t1", "mail") as effect:
        assert effect.done
        assert effect.result is None


async def test_an_error_in_the_block_leaves_neither_effect_nor_guard(store: EffectStore, pool: asyncpg.Pool) -> None:
    async def fail() -> None:
        async with store.once("t1", "letter") as effect:
            await effect.connection.execute("INSERT INTO letters VALUES ('t1')")
            effect.finish(1 / 0)

    with pytest.raises(ZeroDivisionError):
        await fail()

    assert (await letters(pool), await guards(pool)) == (0, 0)
    await write_letter(store, "t1")
    assert await letters(pool) == 1


async def test_what_postgresql_refuses_is_told_without_quoting_the_row(store: EffectStore, pool: asyncpg.Pool) -> None:
    await pool.execute("CREATE TABLE people (name text UNIQUE)")
    await pool.execute("CREATE TABLE ranks (name text REFERENCES people (name) DEFERRABLE INITIALLY DEFERRED)")
    await pool.execute("INSERT INTO people VALUES ('Amihan Reyes')")

    with pytest.raises(asyncpg.UniqueViolationError) as at_once:
        async with store.once("t1", "name") as effect:
            await effect.connection.execute("INSERT INTO people VALUES ('Amihan Reyes')")
    with pytest.raises(StoreError) as at_the_commit:
        async with store.once("t1", "rank") as effect:
            await effect.connection.execute("INSERT INTO ranks VALUES ('Luntian Cruz')")

    assert "people_name_key" in str(at_once.value)
    assert "ranks_name_fkey" in str(at_the_commit.value)
    told = "".join(traceback.format_exception(at_once.value) + traceback.format_exception(at_the_commit.value))
    assert "DETAIL" not in told


async def test_a_cancelled_run_leaves_nothing_and_gives_its_connection_back(
    store: EffectStore, pool: asyncpg.Pool
) -> None:
    inside = asyncio.Event()

    async def hang() -> None:
        async with store.once("t1", "letter") as effect:
            await effect.connection.execute("INSERT INTO letters VALUES ('t1')")
            inside.set()
            await effect.connection.execute("SELECT pg_sleep(60)")

    run = asyncio.create_task(hang())
    await inside.wait()
    run.cancel()
    await asyncio.wait([run])

    assert (await letters(pool), await guards(pool)) == (0, 0)
    assert pool.get_idle_size() == pool.get_size()


async def test_a_connection_lost_in_the_middle_leaves_nothing_for_the_next_run(
    store: EffectStore, pool: asyncpg.Pool
) -> None:
    async def lose_the_connection() -> None:
        async with store.once("t1", "letter") as effect:
            await effect.connection.execute("INSERT INTO letters VALUES ('t1')")
            await pool.fetchval("SELECT pg_terminate_backend($1)", effect.connection.get_server_pid())
            effect.finish("never seen")

    with pytest.raises(StoreError):
        await lose_the_connection()

    assert (await letters(pool), await guards(pool)) == (0, 0)
    await write_letter(store, "t1")
    assert await letters(pool) == 1


async def test_a_concurrent_run_waits_and_then_finds_the_effect_done(store: EffectStore, pool: asyncpg.Pool) -> None:
    inside, leave = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        async with store.once("t1", "letter") as effect:
            inside.set()
            await leave.wait()
            await effect.connection.execute("INSERT INTO letters VALUES ('t1')")
            effect.finish("slow")

    first = asyncio.create_task(slow())
    await inside.wait()
    second = asyncio.create_task(write_letter(store, "t1"))
    await waits_on_a_lock(pool)
    assert not second.done()
    leave.set()

    await first
    assert await second == "slow"
    assert await letters(pool) == 1


async def test_a_waiting_run_takes_over_when_the_first_one_fails(store: EffectStore, pool: asyncpg.Pool) -> None:
    inside, leave = asyncio.Event(), asyncio.Event()

    async def failing() -> None:
        async with store.once("t1", "letter"):
            inside.set()
            await leave.wait()
            raise RuntimeError("crash")

    first = asyncio.create_task(failing())
    await inside.wait()
    second = asyncio.create_task(write_letter(store, "t1"))
    await waits_on_a_lock(pool)
    leave.set()

    with pytest.raises(RuntimeError, match="crash"):
        await first
    assert await second == {"written": "t1", "lines": [1, 2]}
    assert await letters(pool) == 1


async def test_twenty_runs_at_once_write_one_letter(store: EffectStore, pool: asyncpg.Pool) -> None:
    results = await asyncio.gather(*(write_letter(store, "t1") for _ in range(20)))

    assert all(result == results[0] for result in results)
    assert await letters(pool) == 1


async def test_a_done_effect_cannot_be_finished_again(store: EffectStore) -> None:
    await write_letter(store, "t1")

    with pytest.raises(RuntimeError, match="already done"):
        async with store.once("t1", "letter") as effect:
            effect.finish("again")


async def test_services_that_start_at_once_create_the_table_once(pool: asyncpg.Pool) -> None:
    stores = [EffectStore(pool) for _ in range(8)]

    await asyncio.gather(*(store.ensure() for store in stores))

    assert await guards(pool) == 0


async def test_the_pool_speaks_json_and_says_who_it_is(postgres: str) -> None:
    pool = await create_pool(postgres, application_name="muster test", statement_timeout=1)
    try:
        assert await pool.fetchval("SELECT $1::jsonb", {"a": [1, "é"]}) == {"a": [1, "é"]}
        assert await pool.fetchval("SELECT current_setting('application_name')") == "muster test"
        with pytest.raises(asyncpg.QueryCanceledError):
            await pool.execute("SELECT pg_sleep(60)")
    finally:
        await pool.close()


async def test_an_unreachable_database_is_one_sentence_without_the_password() -> None:
    with pytest.raises(StoreError, match="check MUSTER_DATABASE_URL") as refusal:
        await create_pool("postgresql://muster:very-secret@127.0.0.1:1/none")

    assert "very-secret" not in str(refusal.value)


async def waits_on_a_lock(pool: asyncpg.Pool) -> None:
    """Return when some connection of this database waits for another one's transaction."""
    async with asyncio.timeout(60):
        # PostgreSQL tells nobody when a lock is waited for.
        while not await pool.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def test_a_guard_is_an_effect_as_the_engine_understands_it() -> None:
    assert {"done", "result", "connection", "finish"} <= set(dir(GuardedEffect))
