"""Rows of tasks that ended long ago go, and only those: on the real database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from muster.adapters.clock import FakeClock
from muster.contracts.claim_check import DEAD_LETTER_KEPT
from pydantic import ValidationError
from tracker_service import retention
from tracker_service.database import Pool
from tracker_service.recovery.leadership import Leadership
from tracker_service.retention import BESIDE, Retention, cutoffs, next_round
from tracker_service.settings import TrackerSettings
from tracker_service.testing.until import until

pytest_plugins = ["tracker_service.testing.fixtures"]

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)
MONTH = timedelta(days=30)


class Scene:
    """A database, and the retention of a month that works on it."""

    def __init__(self, pool: Pool, leadership: Leadership) -> None:
        self.pool = pool
        self._leadership = leadership
        self.clock = FakeClock(NOW)
        self._retention = Retention(leadership, "0 4 * * * Asia/Manila", MONTH, timedelta(days=7), self.clock)

    async def task(self, task_id: str, state: str, days_ago: float | None) -> None:
        """One that ended so long ago; None: it has not."""
        ended = None if days_ago is None else NOW - timedelta(days=days_ago)
        submitted = (ended or NOW - timedelta(days=1000)) - timedelta(hours=1)
        await self.pool.execute(
            """INSERT INTO muster.tasks
                   (task_id, task_type, state, rank, changed_at, redrive, attempt, delivery, submitted_at, finished_at)
               VALUES ($1, 'noop', $2, 1, $3, 0, 1, 1, $3, $4)""",
            task_id, state, submitted, ended,
        )  # fmt: skip

    async def run(self) -> None:
        await self._retention.run()

    async def round(self) -> int:
        connection = await self._leadership.connection()
        assert connection is not None
        return await self._retention.round(connection)

    async def left(self, table: str = "tasks") -> set[str]:
        return {row["task_id"] for row in await self.pool.fetch(f"SELECT task_id FROM muster.{table}")}  # noqa: S608


@pytest.fixture
async def scene(database: Pool, postgres: str) -> AsyncIterator[Scene]:
    leadership = Leadership(postgres, "retention")
    yield Scene(database, leadership)
    await leadership.resign()


async def test_what_ended_goes_after_its_time_and_what_failed_outlives_its_dead_letter(scene: Scene) -> None:
    for state in ("SUCCESS", "REVOKED", "FAILURE"):
        for days in (29, 31, 99, 101):
            await scene.task(f"{state} {days}", state, days)
    for state in ("PENDING", "STARTED", "RETRY"):
        await scene.task(state, state, None)

    assert await scene.round() == 7

    assert await scene.left() == {
        "SUCCESS 29", "REVOKED 29", "FAILURE 29", "FAILURE 31", "FAILURE 99", "PENDING", "STARTED", "RETRY",
    }  # fmt: skip
    assert await scene.round() == 0


async def test_everything_that_is_known_of_a_task_goes_with_it(scene: Scene) -> None:
    for task_id, days in (("old", 31), ("new", 29)):
        await scene.task(task_id, "SUCCESS", days)
        for statement in (
            "INSERT INTO muster.claims VALUES ($1, 0, 1, 1, 'w', 'l', 0, 1, 1, now(), false, 1)",
            "INSERT INTO muster.attempts VALUES ($1, 0, 1, 'w', NULL, now(), '{}')",
            "INSERT INTO muster.progress VALUES ($1, 1, now(), 1, 2, '')",
            "INSERT INTO muster.hand_backs VALUES ($1, 0, 1, 1, 'w', now())",
            "INSERT INTO muster.rounds VALUES ($1, 1, 'noop', now(), NULL, 0)",
            "INSERT INTO muster.revocations VALUES ($1, 1, NULL, false, NULL, 'withdrawn')",
            "INSERT INTO muster.revoked_records VALUES ($1, 'l', 0, 1, now())",
        ):
            await scene.pool.execute(statement, task_id)

    await scene.round()

    assert {table: await scene.left(table) for table in ("tasks", *BESIDE)} == {
        table: {"new"} for table in ("tasks", *BESIDE)
    }


async def test_a_task_stays_while_an_order_against_it_stands(scene: Scene) -> None:
    await scene.task("due in a year", "REVOKED", 300)
    await scene.pool.execute("INSERT INTO muster.revocations VALUES ('due in a year', 1, now(), false, NULL, '')")

    assert await scene.round() == 0


async def test_many_go_in_batches(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "_DELETE", retention._DELETE.replace(f"LIMIT {retention.CHUNK}", "LIMIT 3"))
    for number in range(10):
        await scene.task(f"t{number}", "SUCCESS", 40 + number)

    assert (await scene.round(), await scene.left()) == (10, set())


def test_no_setting_deletes_what_a_redrive_or_a_payload_needs() -> None:
    week = cutoffs(NOW, kept=timedelta(days=16), payloads_kept=timedelta(days=60))
    years = cutoffs(NOW, kept=timedelta(days=1000), payloads_kept=timedelta(days=7))

    assert (NOW - week.done, NOW - week.failed) == (timedelta(days=60), DEAD_LETTER_KEPT)
    assert (NOW - years.done, NOW - years.failed) == (timedelta(days=1000), timedelta(days=1000))
    with pytest.raises(ValidationError, match="keep_days"):
        TrackerSettings(keep_days=15.9)


async def test_it_runs_at_four_in_manila_and_not_before(scene: Scene) -> None:
    await scene.task("old", "SUCCESS", 40)
    running = asyncio.create_task(scene.run())
    try:
        # Four in the morning of Manila is 20:00 UTC, and it is 8:00.
        await scene.clock.advance(12 * 3600 - 1)
        assert await scene.left() == {"old"}
        await scene.clock.advance(1)

        async def gone() -> bool:
            return await scene.left() == set()

        await until(gone, "what is over its time is deleted")
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def test_its_time_is_a_setting_in_any_zone_over_any_change_of_the_clocks() -> None:
    berlin = "30 2 * * * Europe/Berlin"
    spring = next_round(berlin, datetime(2027, 3, 27, 12, tzinfo=UTC))

    assert spring == datetime(2027, 3, 28, 1, 0, tzinfo=UTC), "02:30 does not exist: as the clocks jump"
    assert next_round("0 4 * * * Asia/Manila", NOW) == datetime(2026, 11, 23, 20, tzinfo=UTC)
    for wrong in ("", "04:00", "0 4 * * *", "0 25 * * * Asia/Manila", "0 4 * * * Manila"):
        with pytest.raises(ValidationError, match="retention_at"):
            TrackerSettings(retention_at=wrong)
