"""Payloads that nobody needs are removed, and only those: on the real database, with a folder as store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from muster.adapters.claim_store import ClaimStore
from muster.adapters.clock import FakeClock
from muster.adapters.memory import MemoryBroker
from muster.contracts.claim_check import Key
from muster.contracts.envelope import TaskRecord
from muster.contracts.errors import BrokerError
from muster.contracts.states import TaskState
from muster.contracts.topics import Topics
from muster.settings import ClaimCheckSettings
from tracker_service import sweeping
from tracker_service.database import Pool
from tracker_service.projection.reading import Reader
from tracker_service.recovery.barrier import BARRIER_SECONDS, Barrier
from tracker_service.recovery.leadership import Leadership
from tracker_service.sweeping import Sweeping

pytest_plugins = ["tracker_service.testing.fixtures"]

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)
TOPICS = Topics("")


class Scene:
    """A sweep, its store, its database, and a log in memory."""

    def __init__(self, pool: Pool, dsn: str, folder: Path) -> None:
        self.pool = pool
        self.clock = FakeClock(NOW)
        self.broker = MemoryBroker(self.clock)
        settings = ClaimCheckSettings(url=f"file://{folder}/payloads", keep_days=7)
        self.store = ClaimStore(settings)
        leads = Leadership(dsn, "sweeping")
        self.barrier = Barrier(self.broker, self.broker.admin(), Reader(TOPICS).topics, self.clock)
        self.sweeping = Sweeping(self.store, pool, leads, self.barrier, settings, self.clock)

    async def payload(self, task_id: str, *, days_old: int = 30) -> Key:
        key = Key((NOW - timedelta(days=days_old)).date(), task_id, sha256(task_id.encode()).hexdigest())
        await self.store.put(key, task_id.encode())
        return key

    async def task(self, task_id: str, state: TaskState, *, ended_days_ago: float | None = None) -> None:
        ended = None if ended_days_ago is None else NOW - timedelta(days=ended_days_ago)
        await self.pool.execute(
            """INSERT INTO muster.tasks
                   (task_id, task_type, state, rank, changed_at, redrive, attempt, delivery, finished_at)
               VALUES ($1, 'noop', $2, 1, $3, 0, 1, 1, $4)""",
            task_id, state.value, NOW, ended,
        )  # fmt: skip

    async def left(self) -> set[str]:
        return {key.task_id for key in await self.store.keys(before=(NOW + timedelta(days=365)).date())}


@pytest.fixture
async def scene(database: Pool, postgres: str, tmp_path: Path) -> Scene:
    scene = Scene(database, postgres, tmp_path)
    await scene.broker.admin().apply(TOPICS.specs())
    await scene.barrier.start()
    return scene


async def test_a_sweep_removes_what_nobody_needs_and_nothing_else(scene: Scene) -> None:
    for task_id, state, ended in (
        ("waits", TaskState.PENDING, None), ("runs", TaskState.STARTED, None), ("retries", TaskState.RETRY, None),
        ("just-ended", TaskState.SUCCESS, 1), ("ended", TaskState.SUCCESS, 8), ("revoked", TaskState.REVOKED, 8),
        ("dead-letter", TaskState.FAILURE, 89), ("old-letter", TaskState.FAILURE, 101),
    ):  # fmt: skip
        await scene.payload(task_id)
        await scene.task(task_id, state, ended_days_ago=ended)
    await scene.payload("never-sent")
    await scene.payload("on-its-way", days_old=0)

    removed = await scene.sweeping.round()

    assert await scene.left() == {"waits", "runs", "retries", "just-ended", "dead-letter", "on-its-way"}
    assert removed == 4
    assert await scene.sweeping.round() == 0


async def test_more_payloads_than_fit_one_question(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeping, "CHUNK", 3)
    for number in range(10):
        await scene.payload(f"orphan-{number}")

    assert await scene.sweeping.round() == 10


async def test_nothing_is_judged_while_the_projection_is_behind(scene: Scene) -> None:
    """Its record is in Kafka and not folded yet: to the projection its task does not exist."""
    key = await scene.payload("not-folded")
    producer = scene.broker.producer()
    await producer.start()
    task = TaskRecord(task_id="not-folded", task_type="noop", body=b"")
    await (await producer.send(TOPICS.lane("media"), task.body, key=task.key, headers=task.headers()))

    monotonic = iter([0.0, BARRIER_SECONDS + 1])
    scene.clock.monotonic = lambda: next(monotonic)  # type: ignore[method-assign]  # time passes at the first look
    with pytest.raises(BrokerError, match="the projection is behind"):
        await scene.sweeping.round()

    assert await scene.store.keys(before=NOW.date()) == [key]
