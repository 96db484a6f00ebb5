"""Two trackers, the leader killed while a worker is lost too; and the projection deleted and folded again."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import cast

import pytest
from muster.adapters.kafka import KafkaBroker
from muster.contracts.envelope import parse_task
from muster.ports import TopicPartition
from muster.settings import KafkaSettings
from muster_local.ports import free_port
from rotc.connection import connected
from tracker_service.database import Pool
from tracker_service.testing.rows import dump

from .api import Api, wait_until
from .system import System

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.e2e]
PATIENCE_SECONDS = 90.0
_LEADS = """
    SELECT EXISTS (
        SELECT FROM pg_locks l JOIN pg_stat_activity a USING (pid)
        WHERE l.locktype = 'advisory' AND l.granted AND a.application_name = 'muster-tracker-leader'
            AND a.datname = current_database())"""
_OPEN = "SELECT count(*) FROM muster.tasks WHERE finished_at IS NULL"
_IN_STATE = "SELECT count(*) FROM muster.tasks WHERE state = $1"
_STANDING = "SELECT count(*) FROM muster.revocations WHERE requested_at IS NOT NULL"
_FOLDED_TO = "SELECT coalesce(sum(next_offset), 0) FROM muster.offsets WHERE topic !~ 'workers|catalog'"
_FOLDED = (
    "tasks", "claims", "attempts", "hand_backs", "progress", "rounds", "offsets", "revocations", "revocation_rules",
    "revoked_records",
)  # fmt: skip


@pytest.fixture(scope="module")
def ended(system: System) -> System:
    """Tasks of every kind have ended, although the leading tracker and the worker were killed at the same moment."""
    api = Api(system)
    wait_until(lambda: system.query(_LEADS), "the first tracker leads; the second will wait for its lock")
    second = system.another_tracker(free_port()).start()
    worker = system.practice(MUSTER_SLOTS="8").start()
    api.knows("nap")
    for _ in range(8):
        api.submit("nap", {"seconds": 3})
    for times in (1, 2, 4, 5):
        api.submit("stumble", {"times": times})
    taken_back = api.submit("nap", {"seconds": 0}, countdown=2)
    wait_until(lambda: len(system.ledger.runs()) >= 8, "every slot is taken", PATIENCE_SECONDS)
    assert api.revoke(taken_back).status_code == 202
    system.tracker.kill()
    worker.kill()
    worker.start()
    wait_until(lambda: system.query(_OPEN) == 0, "every task has ended", PATIENCE_SECONDS)
    wait_until(lambda: system.query(_STANDING) == 0, "no order stands", PATIENCE_SECONDS)
    api.close()
    for program in (worker, second):
        assert program.drain() == 0
    return system


def test_the_other_tracker_brings_each_lost_task_back_once(ended: System) -> None:
    counts = {state: ended.query(_IN_STATE, state) for state in ("SUCCESS", "FAILURE", "REVOKED")}
    records = asyncio.run(lane(ended))

    assert counts == {"SUCCESS": 10, "FAILURE": 2, "REVOKED": 1}
    assert set(records.values()) == {1}, "no delivery was written twice"
    assert {delivery for _, _, delivery in records} == {1, 2}


def test_the_projection_deleted_and_folded_again_gives_the_same_rows(ended: System) -> None:
    before, folded_to = asyncio.run(rows(ended)), ended.query(_FOLDED_TO)
    assert len([row for row in before if row[0] == "tasks"]) == 13
    ended.query(f"TRUNCATE {', '.join(f'muster.{table}' for table in _FOLDED)}")

    ended.tracker.start()

    wait_until(lambda: ended.query(_FOLDED_TO) >= folded_to, "everything is folded again", PATIENCE_SECONDS)
    assert ended.tracker.drain() == 0
    assert asyncio.run(rows(ended)) == before


async def lane(system: System) -> Counter[tuple[str, int, int]]:
    """How often each (task, attempt, delivery) was written to the lane."""
    reader = KafkaBroker(KafkaSettings(bootstrap_servers=system.kafka)).consumer()
    partitions = [TopicPartition(system.topics.lane("notify"), number) for number in range(6)]
    reader.assign(partitions)
    await reader.start()
    found: Counter[tuple[str, int, int]] = Counter()
    try:
        for partition, end in (await reader.end_offsets(partitions)).items():
            while await reader.position(partition) < end:
                for record in await reader.poll(timeout=0.5):
                    task = parse_task(record.headers, record.value)
                    found[task.task_id, task.attempt, task.delivery] += 1
    finally:
        await reader.stop()
    return found


async def rows(system: System) -> list[tuple[object, ...]]:
    async with connected(system.dsn) as connection:
        return await dump(cast(Pool, connection))
