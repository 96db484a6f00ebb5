"""An import worker killed while it writes: nobody sees half of its rows, and the next one brings them all once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from rotc.connection import connected
from rotc.demo.rotcmis import export

from .api import ADMIN, Api, wait_until
from .system import CADETS, System

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.e2e]
IMPORT = "import_rotcmis_data"
ROWS = 300
PATIENCE_SECONDS = 90.0
#: Sessions of import workers whose statement waits for a lock.
WAITING = """SELECT count(*) FROM pg_stat_activity
    WHERE application_name = 'muster-import' AND wait_event_type = 'Lock' AND query LIKE '%INSERT INTO grades%'"""
SESSIONS = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'muster-import'"


async def while_grades_are_locked(system: System, story: Callable[[], str]) -> str:
    """Nobody can write grades meanwhile: an import gets as far as its cadets, which it has inserted by then."""
    async with connected(system.dsn) as connection, connection.transaction():
        await connection.execute("LOCK TABLE grades IN EXCLUSIVE MODE")
        return await asyncio.to_thread(story)


def test_a_worker_killed_while_it_writes_leaves_nothing_and_its_task_ends_right(system: System, api: Api) -> None:
    worker = system.importer().start()
    api.knows(IMPORT)
    rows = [{**row, "student_id": f"K-{row['student_id']}"} for row in export(3, ROWS)]

    def killed() -> str:
        task_id = api.submit(IMPORT, {"json_data": rows, "user_id": ADMIN})
        wait_until(lambda: system.query(WAITING) == 1, "the import writes", PATIENCE_SECONDS)
        worker.kill()
        return task_id

    task_id = asyncio.run(while_grades_are_locked(system, killed))
    wait_until(lambda: system.query(SESSIONS) == 0, "the database has noticed")
    assert system.query("SELECT count(*) FROM cadets") == CADETS

    worker.start()
    ended = api.ended(task_id, PATIENCE_SECONDS)

    assert ended["status"] == "SUCCESS", ended
    assert (ended["result"]["created_count"], ended["result"]["error_count"]) == (ROWS, 0)
    assert system.query("SELECT count(*) FROM cadets WHERE student_id LIKE 'K-%'") == ROWS
    assert system.query("SELECT count(*) FROM cadets c JOIN grades g ON g.cadet_id = c.id") == CADETS + ROWS
    assert system.query("SELECT count(*) FROM audit_logs WHERE table_name = 'cadets' AND user_id = $1", ADMIN) == ROWS
    assert system.query("SELECT count(*) FROM notifications WHERE type = 'import_complete'") == 1
