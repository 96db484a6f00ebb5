"""Batches that meet in PostgreSQL give the same rows as records that meet in memory."""

from __future__ import annotations

import hashlib
import random

import pytest
from muster.ports import Record, TopicPartition
from tracker_service.database import Pool
from tracker_service.projection.fold import Fold
from tracker_service.projection.reading import Reader
from tracker_service.projection.store import OffsetsMoved, Store
from tracker_service.testing.records import TOPICS, Story
from tracker_service.testing.rows import dump

pytest_plugins = ["tracker_service.testing.fixtures"]

READER = Reader(TOPICS)


def stories(rng: random.Random) -> list[Record]:
    """Tasks of every kind, their records in an order in which no task's own records are safe."""
    records: list[Record] = []
    for number in range(60):
        story = Story(f"task-{number:02d}")
        kind = number % 6
        records += [story.lane(), story.started(1)]
        if kind == 0:
            records.append(story.succeeded(2))
        elif kind == 1:
            records += [story.retry(3, attempt=2), story.lane(63, attempt=2), story.started(64, attempt=2)]
            records.append(story.dead(65, attempt=2))
        elif kind == 2:
            records += [story.abandoned(2), story.started(3, worker="w2"), story.succeeded(5, worker="w2")]
        elif kind == 3:
            records += [story.handed_back(9, delivery=2), story.started(10, worker="w2", delivery=2, offset=8)]
            records += [
                story.progressed(11, 3, worker="w2", delivery=2),
                story.progressed(12, 6, worker="w2", delivery=2),
            ]
        elif kind == 4:
            records.append(story.revoked(4))
    rng.shuffle(records)
    return records


def folded(records: list[Record]) -> Fold:
    fold = Fold()
    for record in records:
        READER.read(record, fold)
    return fold


async def write(pool: Pool, records: list[Record], sizes: list[int]) -> str:
    """Fold and store in batches of these sizes; a digest of all rows. The tables are empty afterwards."""
    store = Store(pool)
    rest = records
    for size in sizes:
        await store.write(folded(rest[:size]), {})
        rest = rest[size:]
    await store.write(folded(rest), {})
    digest = hashlib.sha256(repr(await dump(pool)).encode()).hexdigest()
    tables = ("tasks", "claims", "attempts", "hand_backs", "progress", "rounds")
    await pool.execute(f"TRUNCATE {', '.join(f'muster.{table}' for table in tables)}")
    return digest


@pytest.mark.parametrize("seed", range(8))
async def test_however_records_are_cut_into_batches_and_ordered_the_rows_are_the_same(
    database: Pool, seed: int
) -> None:
    rng = random.Random(seed)
    records = stories(rng)
    at_once = await write(database, records, [])

    one_by_one = await write(database, records, [1] * (len(records) - 1))
    rng.shuffle(records)
    in_batches = await write(database, records, [rng.randrange(1, 40) for _ in range(5)])
    repeated = await write(database, [*records, *records[:50]], [30, 30])

    assert at_once == one_by_one == in_batches == repeated


async def test_a_batch_whose_offsets_were_passed_by_another_tracker_changes_nothing(database: Pool) -> None:
    store, partition = Store(database), TopicPartition("tasks.events", 0)
    await store.begin({partition: 0})
    await store.write(folded([Story("first").lane()]), {partition: (0, 10)})

    with pytest.raises(OffsetsMoved):
        await store.write(folded([Story("second").lane()]), {partition: (0, 10)})

    assert await database.fetchval("SELECT string_agg(task_id, ' ') FROM muster.tasks") == "first"
    assert await store.begin({partition: 0}) == {partition: 10}
