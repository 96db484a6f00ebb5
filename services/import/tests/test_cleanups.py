"""Old audit rows and processed events go, a batch at a time; what is younger or not yet processed stays."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from import_service import cleaning
from import_service.resources import ImportResources
from import_service.tasks import app
from muster.adapters.clock import SystemClock
from muster.adapters.postgres import EffectStore, create_pool
from muster.testing import TaskHarness
from muster.worker.outcome import Outcome, Succeed
from rotc.cleanup import Old, delete_old
from rotc.connection import Connection, connected
from rotc.migrate import migrate

ROWS = """
INSERT INTO audit_logs (table_name, operation, record_id, payload, created_at)
    SELECT 'cadets', 'UPDATE', n, '{}', now() - n * interval '1 day' - interval '1 minute'
    FROM generate_series(0, 199) n;
INSERT INTO sync_events (event_type, payload, processed, created_at)
    SELECT 'grade_update', '{}', n % 2 = 0, now() - n * interval '1 day' - interval '1 minute'
    FROM generate_series(0, 19) n;
"""


class Unused:
    """Neither storage nor web: a cleanup needs none."""

    async def upload(self, data: bytes, public_id: str, resource_type: str) -> str:
        raise AssertionError(public_id)

    async def destroy(self, public_id: str) -> bool:
        raise AssertionError(public_id)

    async def fetch(self, url: str, *, max_bytes: int) -> bytes:
        raise AssertionError(url)


@pytest.fixture
async def harness(postgres: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[TaskHarness[ImportResources]]:
    """200 audit rows, one of each day; 20 events, every other processed; batches of 30."""
    monkeypatch.setattr(cleaning, "BATCH", 30)
    monkeypatch.setattr(cleaning, "PAUSE_SECONDS", 0)
    async with connected(postgres) as connection:
        await migrate(connection)
        await connection.execute(ROWS)
    async with await create_pool(postgres, max_size=4, application_name="test") as pool:
        effects = EffectStore(pool)
        await effects.ensure()
        yield TaskHarness(app, ImportResources(pool, effects, Unused(), Unused()), SystemClock())


def deleted(outcome: Outcome) -> int:
    assert isinstance(outcome, Succeed), outcome
    result: dict[str, int] = json.loads(outcome.result)
    assert list(result) == ["deleted"]
    return result["deleted"]


async def days_left(harness: TaskHarness[ImportResources], table: str) -> list[int]:
    query = f"SELECT extract(day FROM now() - created_at)::int AS day FROM {table} ORDER BY 1"  # noqa: S608
    return [row["day"] for row in await harness.resources.pool.fetch(query)]


async def test_audit_rows_older_than_ninety_days_go(harness: TaskHarness[ImportResources]) -> None:
    assert deleted(await harness.run("cleanup_old_audit_logs", {})) == 110
    assert await days_left(harness, "audit_logs") == list(range(90))
    assert [done for done, total, message in harness.progress] == [30, 60, 90, 110]
    assert deleted(await harness.run("cleanup_old_audit_logs", {"days": 30}, task_id="t2")) == 60


async def test_events_go_when_they_were_processed(harness: TaskHarness[ImportResources]) -> None:
    assert deleted(await harness.run("cleanup_old_sync_events", {})) == 6
    assert await days_left(harness, "sync_events") == sorted([*range(0, 8), *range(9, 20, 2)])


async def test_a_killed_cleanup_goes_on_and_counts_what_it_had_done(
    harness: TaskHarness[ImportResources], monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = 0

    async def dies_in_the_third(connection: Connection, what: Old, before: Any, *, most: int) -> int:
        nonlocal batches
        batches += 1
        count = await delete_old(connection, what, before, most=most)
        if batches == 3:
            raise ConnectionResetError("killed")
        return count

    monkeypatch.setattr(cleaning, "delete_old", dies_in_the_third)
    first = await harness.run("cleanup_old_audit_logs", {})
    left = len(await days_left(harness, "audit_logs"))

    assert not isinstance(first, Succeed)
    assert left == 140
    assert deleted(await harness.run("cleanup_old_audit_logs", {}, attempt=2)) == 110
    assert deleted(await harness.run("cleanup_old_audit_logs", {}, attempt=3)) == 110
