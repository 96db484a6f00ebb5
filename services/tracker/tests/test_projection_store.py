"""Batches that meet in PostgreSQL give the same rows as records that meet in memory."""

from __future__ import annotations

import hashlib
import random
from typing import Any

import pytest
from muster.contracts.redrive import Edit, redrive
from muster.ports import Record, TopicPartition
from tracker_service.database import Pool
from tracker_service.projection.fold import Fold
from tracker_service.projection.reading import Reader
from tracker_service.projection.store import OffsetsMoved, Store
from tracker_service.testing.records import TOPICS, Story, at
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


def contested(number: int) -> list[Record]:
    """A task that two workers ended, each in its own way, as when one of them was wrongly taken for dead."""
    story = Story(f"contested-{number:02d}")
    begun = [story.lane(), story.started(1), story.lane(9, delivery=2), story.started(10, worker="w2", delivery=2)]
    late: dict[str, Any] = {"worker": "w2", "delivery": 2}
    early: dict[str, Any] = {"worker": "w1"}
    ends: tuple[list[Record], ...] = (
        [story.succeeded(20, **late), story.dead(21, **early)],
        [story.dead(20, **late), story.succeeded(21, **early)],
        [story.dead(20, **late), story.dead(21, **early)],
        [story.dead(20, **late), story.revoked(20, **early)],
        [story.succeeded(20, **late), story.succeeded(20, **early), story.revoked(19, **early)],
        [story.retry(20, attempt=2, **late), story.succeeded(21, **early), story.started(81, attempt=2, worker="w3")],
    )
    return [*begun, *ends[number % len(ends)]]


def redriven(number: int) -> list[Record]:
    """A task that failed, was redriven with other parameters, and succeeded; the first worker woke up in between."""
    story = Story(f"redriven-{number:02d}")
    first = [story.lane(), story.started(1), story.dead(2), story.revoked(3, worker="w0")]
    lane, task = redrive(
        first[2].headers, first[2].value, TOPICS, now=at(9), edit=Edit(parameters={"number": 2}, task_type="noop2")
    )
    again = story.lane(9)._replace(topic=lane, value=task.body, headers=tuple(task.headers()))
    return [*first, again, story.started(10, redrive=1, task_type="noop2"), story.succeeded(12, redrive=1)]


def interleaved(rng: random.Random, records: list[Record]) -> list[Record]:
    """As a projection may read them: each partition in its own order, the partitions in any."""
    logs: dict[TopicPartition, list[Record]] = {}
    for record in records:
        logs.setdefault(record.source, []).append(record)
    turns = [source for source, log in logs.items() for _ in log]
    rng.shuffle(turns)
    return [logs[source].pop(0) for source in turns]


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


@pytest.mark.parametrize("seed", range(6))
async def test_however_the_topics_are_interleaved_the_same_end_of_a_contested_task_counts(
    database: Pool, seed: int
) -> None:
    rng = random.Random(seed)
    records = [record for number in range(12) for record in (*contested(number), *redriven(number))]
    in_order = await write(database, records, [])

    digests = set()
    for _ in range(5):
        mixed = interleaved(rng, records)
        digests.add(await write(database, mixed, [rng.randrange(1, 30) for _ in range(8)]))
    digests.add(await write(database, mixed, [1] * (len(mixed) - 1)))

    assert digests == {in_order}


async def test_what_was_done_counts_more_than_a_failure_and_that_more_than_a_revocation(database: Pool) -> None:
    await Store(database).write(folded([record for number in range(6) for record in contested(number)]), {})
    await Store(database).write(folded(redriven(0)), {})

    rows = await database.fetch("SELECT state, worker, task_type FROM muster.tasks ORDER BY task_id")

    assert [row["state"] for row in rows] == [
        "SUCCESS", "SUCCESS", "FAILURE", "FAILURE", "SUCCESS", "SUCCESS", "SUCCESS",
    ]  # fmt: skip
    assert [row["worker"] for row in rows][:5] == ["w2", "w1", "w2", "w2", "w1"], "of two alike the earlier one"
    first, again = (
        await database.fetchrow("SELECT parameters FROM muster.tasks WHERE task_id = 'redriven-00'"),
        (await database.fetchrow("SELECT redrive, task_type, parameters FROM muster.rounds")),
    )
    assert first is not None
    assert again is not None
    assert (first["parameters"], tuple(again)) == ('{"number": 1}', (1, "noop2", '{"number":2}'))


async def test_a_batch_whose_offsets_were_passed_by_another_tracker_changes_nothing(database: Pool) -> None:
    store, partition = Store(database), TopicPartition("tasks.events", 0)
    await store.begin({partition: 0})
    await store.write(folded([Story("first").lane()]), {partition: (0, 10)})

    with pytest.raises(OffsetsMoved):
        await store.write(folded([Story("second").lane()]), {partition: (0, 10)})

    assert await database.fetchval("SELECT string_agg(task_id, ' ') FROM muster.tasks") == "first"
    assert await store.begin({partition: 0}) == {partition: 10}
