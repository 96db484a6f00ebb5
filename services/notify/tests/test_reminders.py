"""Reminders of training days and the end of old notifications, on a real database."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from muster.adapters.clock import SystemClock
from muster.adapters.postgres import EffectStore, create_pool
from muster.testing import TaskHarness
from muster.worker.outcome import DeadLetter, Succeed
from notify_service import reminding
from notify_service.resources import NotifyResources
from notify_service.settings import NotifySettings
from notify_service.tasks import app
from pydantic import SecretStr
from rotc import sent_mails
from rotc.connection import connected
from rotc.migrate import migrate

ROWS = """
INSERT INTO cadets (id, student_id, first_name, last_name, status, is_profile_completed, is_archived, created_at)
    SELECT n, 'S-' || n, 'Ana', 'Cruz', 'Ongoing', false, n = 4, now() FROM generate_series(1, 4) n;
INSERT INTO users (id, username, email, password, role, is_approved, cadet_id, created_at)
    SELECT n, 'u' || n, n || '@x', '', 'cadet', n <> 3, n, now() FROM generate_series(1, 4) n;
INSERT INTO users (id, username, email, password, role, is_approved, created_at)
    VALUES (9, 'admin', 'a@x', '', 'admin', true, now());
INSERT INTO training_days (id, date, title, location, created_at)
    VALUES (1, '2026-01-11', 'Map reading', 'Parade ground', now());
"""
OLD_ROWS = """
INSERT INTO notifications (user_id, message, type, is_read, created_at)
    SELECT 9, 'note ' || n, 'x', n % 2 = 0, now() - make_interval(days => CASE WHEN n <= 20 THEN 31 ELSE 29 END)
    FROM generate_series(1, 30) n
"""

Harness = TaskHarness[NotifyResources]


@pytest.fixture
async def harness(postgres: str) -> AsyncIterator[Harness]:
    async with connected(postgres) as connection:
        await migrate(connection)
        await connection.execute(ROWS)
        await sent_mails.ensure(connection)
    async with await create_pool(postgres) as pool:
        effects = EffectStore(pool)
        await effects.ensure()
        settings = NotifySettings(database_url=SecretStr(postgres))
        yield TaskHarness(app, NotifyResources(pool, effects, settings), SystemClock())


async def test_every_approved_cadet_who_is_not_archived_is_reminded_once(harness: Harness) -> None:
    for _again in range(2):
        outcome = await harness.run("send_attendance_reminder", {"training_day_id": 1})

        assert isinstance(outcome, Succeed), outcome
        assert outcome.result == b'{"users_notified":2}'
    rows = await harness.resources.pool.fetch("SELECT user_id, type, message FROM notifications ORDER BY user_id")
    words = "Reminder: Map reading is on Sunday, 11 January 2026 at Parade ground."
    assert [tuple(row) for row in rows] == [(1, "attendance_reminder", words), (2, "attendance_reminder", words)]


async def test_a_training_day_nobody_knows_is_final(harness: Harness) -> None:
    outcome = await harness.run("send_attendance_reminder", {"training_day_id": 7})

    assert isinstance(outcome, DeadLetter)
    assert (outcome.failure.kind, outcome.failure.message) == ("permanent", "No training day has id 7.")


async def test_read_and_old_notifications_go_in_batches(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reminding, "BATCH", 4)
    monkeypatch.setattr(reminding, "PAUSE", 0.0)
    await harness.resources.pool.execute(OLD_ROWS)
    await harness.resources.pool.execute(
        "INSERT INTO muster.mails SELECT 't', n::text, 'sent', NULL, '', "
        "now() - make_interval(days => 115 + n, hours => -1) FROM generate_series(1, 10) n"
    )

    outcome = await harness.run("cleanup_old_notifications", {})

    assert isinstance(outcome, Succeed), outcome
    assert outcome.result == b'{"deleted":10}'
    assert [done for done, _total, _message in harness.progress] == [4, 8, 10]
    left = await harness.resources.pool.fetchval("SELECT count(*) FROM notifications WHERE is_read")
    assert left == 5, "read, but not old enough"
    assert await harness.resources.pool.fetchval("SELECT count(*) FROM muster.mails") == 5
    assert await harness.resources.pool.fetchval("SELECT count(*) FROM notifications") == 20
