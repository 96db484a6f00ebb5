"""Imports beside each other and beside the backend: who waits for whom, and what a row becomes that was overtaken."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from import_service.resources import ImportResources
from import_service.tasks import app
from muster.adapters.clock import SystemClock
from muster.adapters.postgres import EffectStore, create_pool
from muster.testing import TaskHarness
from muster.worker.outcome import DeadLetter, RetryAt, Succeed
from rotc.connection import connected
from rotc.migrate import migrate

ADMIN = """INSERT INTO users (id, username, email, password, role, is_approved, created_at)
    VALUES (1, 'a', 'a@x', '', 'admin', true, now())"""
CADET = """INSERT INTO cadets (student_id, first_name, last_name, status, is_profile_completed, is_archived, created_at)
    VALUES ($1, 'Backend', 'Made', 'Ongoing', false, false, now()) RETURNING id"""
WAITING = """SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock' AND pid <> pg_backend_pid()"""


class NoStorage:
    """Takes every report, and nothing may be fetched."""

    async def upload(self, data: bytes, public_id: str, resource_type: str) -> str:
        return f"https://storage.invalid/{public_id}"

    async def destroy(self, public_id: str) -> bool:
        return False

    async def fetch(self, url: str, *, max_bytes: int) -> bytes:
        raise AssertionError("nothing is fetched")


@pytest.fixture
async def harness(postgres: str) -> AsyncIterator[TaskHarness[ImportResources]]:
    async with connected(postgres) as connection:
        await migrate(connection)
        await connection.execute(ADMIN)
    async with await create_pool(postgres) as pool:
        effects = EffectStore(pool)
        await effects.ensure()
        yield TaskHarness(app, ImportResources(pool, effects, NoStorage(), NoStorage()), SystemClock())


@pytest.fixture
async def backend(postgres: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    async with connected(postgres) as connection:
        yield connection


def rows(count: int, **more: Any) -> list[dict[str, Any]]:
    return [{"student_id": f"2026-{n}", "first_name": "Ana", "last_name": "Peña", **more} for n in range(1, count + 1)]


async def bring(
    harness: TaskHarness[ImportResources], task_id: str, given: list[dict[str, Any]], **more: Any
) -> dict[str, Any]:
    outcome = await harness.run("import_rotcmis_data", {"json_data": given, "user_id": 1, **more}, task_id=task_id)
    assert isinstance(outcome, Succeed), outcome
    result: dict[str, Any] = json.loads(outcome.result)
    return result


async def until_waiting(harness: TaskHarness[ImportResources], sessions: int = 1) -> None:
    async with asyncio.timeout(60):
        while await harness.resources.pool.fetchval(WAITING) < sessions:  # noqa: ASYNC110  nobody tells
            await asyncio.sleep(0.02)


async def test_two_imports_of_the_same_cadets_at_once_create_each_once(harness: TaskHarness[ImportResources]) -> None:
    results = await asyncio.gather(*(bring(harness, f"t{number}", rows(200)) for number in range(3)))

    assert sorted(result["created_count"] for result in results) == [0, 0, 200]
    assert sorted(result["skipped_count"] for result in results) == [0, 200, 200]
    assert await harness.resources.pool.fetchval("SELECT count(*) FROM grades") == 200


async def test_one_task_delivered_twice_at_once_imports_once(harness: TaskHarness[ImportResources]) -> None:
    first, second = await asyncio.gather(bring(harness, "t1", rows(50)), bring(harness, "t1", rows(50)))

    assert first == second
    assert first["created_count"] == 50
    assert await harness.resources.pool.fetchval("SELECT count(*) FROM notifications") == 1


async def test_a_cadet_whom_the_backend_makes_meanwhile_is_its_own_and_the_row_says_so(
    harness: TaskHarness[ImportResources], backend: asyncpg.Connection[asyncpg.Record]
) -> None:
    transaction = backend.transaction()
    await transaction.start()
    theirs = await backend.fetchval(CADET, "2026-2")

    importing = asyncio.create_task(bring(harness, "t1", rows(3), merge_strategy="update"))
    await until_waiting(harness)
    await transaction.commit()
    result = await importing

    assert (result["created_count"], result["error_count"]) == (2, 1)
    assert [(error["row"], error["field"], error["code"]) for error in result["errors"]] == [
        (2, "student_id", "conflict")
    ]
    assert len(result["created_ids"]) == 2
    assert theirs not in result["created_ids"]
    assert await backend.fetchval("SELECT first_name FROM cadets WHERE id = $1", theirs) == "Backend"


async def test_what_the_backend_changes_before_it_is_locked_is_what_an_update_is_compared_with(
    harness: TaskHarness[ImportResources], backend: asyncpg.Connection[asyncpg.Record]
) -> None:
    await bring(harness, "t1", rows(2, company="Alpha"))
    transaction = backend.transaction()
    await transaction.start()
    await backend.execute("UPDATE cadets SET company = 'Bravo', course = 'BSIT' WHERE student_id = '2026-1'")

    importing = asyncio.create_task(bring(harness, "t2", rows(2, company="Bravo"), merge_strategy="update"))
    await until_waiting(harness)
    await transaction.commit()
    result = await importing

    assert (result["updated_count"], result["skipped_count"]) == (1, 1)
    assert await backend.fetchval("SELECT course FROM cadets WHERE student_id = '2026-1'") == "BSIT"


async def test_an_import_that_is_cancelled_leaves_nothing(
    harness: TaskHarness[ImportResources], backend: asyncpg.Connection[asyncpg.Record]
) -> None:
    transaction = backend.transaction()
    await transaction.start()
    await backend.execute("LOCK TABLE grades IN EXCLUSIVE MODE")

    importing = asyncio.create_task(bring(harness, "t1", rows(20)))
    await until_waiting(harness)
    importing.cancel()
    await asyncio.wait([importing])
    await transaction.rollback()

    assert await harness.resources.pool.fetchval("SELECT count(*) FROM cadets") == 0
    assert (await bring(harness, "t1", rows(20)))["created_count"] == 20


async def test_a_row_that_breaks_a_rule_of_the_tables_is_refused_without_being_quoted(
    harness: TaskHarness[ImportResources], backend: asyncpg.Connection[asyncpg.Record]
) -> None:
    await backend.execute("ALTER TABLE cadets ADD CONSTRAINT no_seconds CHECK (suffix_name <> 'II')")

    given = {"json_data": rows(3, suffix_name="II", address="Secret street"), "user_id": 1}
    outcome = await harness.run("import_rotcmis_data", given, task_id="t1")

    assert isinstance(outcome, DeadLetter)
    assert outcome.failure.kind == "permanent"
    assert "no_seconds" in outcome.failure.message
    assert "Secret" not in str(outcome)
    assert await backend.fetchval("SELECT count(*) FROM cadets") == 0
    assert await backend.fetchval("SELECT string_agg(type, ',') FROM notifications") == "import_failed"


async def test_a_record_that_somebody_deletes_meanwhile_has_the_import_run_again(
    harness: TaskHarness[ImportResources], backend: asyncpg.Connection[asyncpg.Record]
) -> None:
    await backend.execute(
        """CREATE FUNCTION overtake() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN NEW.cadet_id = -1; RETURN NEW; END $$;
        CREATE TRIGGER overtake BEFORE INSERT ON grades FOR EACH ROW EXECUTE FUNCTION overtake()"""
    )

    outcome = await harness.run("import_rotcmis_data", {"json_data": rows(1), "user_id": 1}, task_id="t1")

    assert isinstance(outcome, RetryAt), outcome
    assert "grades_cadet_id" in outcome.failure.message
    assert "is not present" not in str(outcome)
