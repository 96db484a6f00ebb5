"""The waiting room in PostgreSQL: the same rows whatever the batches, and what the leader finds due."""

from __future__ import annotations

import random

import pytest
from muster.contracts.pauses import pause_key
from muster.ports import Record, TopicPartition
from tracker_service.database import Pool
from tracker_service.projection.fold import Fold
from tracker_service.projection.reading import Reader
from tracker_service.projection.store import Store
from tracker_service.testing.records import LANE, TOPICS, Story
from tracker_service.turns import room
from tracker_service.turns.seat import SEAT_COLUMNS, seat_values

pytest_plugins = ["tracker_service.testing.fixtures"]

READER = Reader(TOPICS)
DOOR = TopicPartition(TOPICS.keyed, 0)


class Log:
    """Folds records as the projector does: with the offsets they come from."""

    def __init__(self, pool: Pool) -> None:
        self._store = Store(pool)
        self._offset = 0

    async def fold(self, records: list[Record]) -> Fold:
        fold = Fold()
        for record in records:
            READER.read(record, fold)
        await self._store.begin({DOOR: 0})
        await self._store.write(fold, {DOOR: (self._offset, self._offset + 1)})
        self._offset += 1
        return fold


@pytest.fixture
def log(database: Pool) -> Log:
    return Log(database)


def door(task_id: str, offset: int, key: str | None = "k", **changes: object) -> Record:
    record = Story(task_id).lane(offset, route=LANE, order_key=key, **changes)
    return record._replace(topic=TOPICS.keyed, offset=offset)


def tale(number: int) -> list[Record]:
    """One of several lives of a task of key k; every third ends."""
    story = Story(f"t{number}")
    records = [door(f"t{number}", 10 * number), door(f"t{number}", 10 * number + 3)]
    if number % 4:
        records.append(story.lane(2, order_key="k", sequenced=1))
    if number % 4 > 1:
        records.append(door(f"t{number}", 10 * number + 5, sequenced=1, attempt=2))
        records.append(story.lane(6, order_key="k", sequenced=1, delivery=2))
    if number % 3 == 0:
        records += [story.started(7), story.succeeded(8)]
    return records


async def rows(pool: Pool) -> list[tuple[object, ...]]:
    found = await pool.fetch("SELECT * FROM muster.turns ORDER BY task_id")
    return [tuple(row[name] for name in SEAT_COLUMNS) for row in found]


@pytest.mark.parametrize("seed", range(4))
async def test_however_seats_are_cut_into_batches_the_rows_are_those_of_one_fold(
    database: Pool, log: Log, seed: int
) -> None:
    dice = random.Random(seed)
    records = [record for number in range(1, 13) for record in tale(number)]
    at_once = await log.fold(records)
    ended = {task.task_id for task in at_once.tasks.values() if task.finished_at}
    expected = [seat_values(seat) for key, seat in sorted(at_once.seats.items()) if seat.task_id not in ended]
    assert sorted(await rows(database)) == sorted(expected)

    await database.execute("TRUNCATE muster.tasks, muster.claims, muster.turns")
    dice.shuffle(records)
    for start in range(0, len(records), 5):
        await log.fold(records[start : start + 5])

    assert sorted(await rows(database)) == sorted(expected)


async def test_a_mark_is_only_ahead_of_the_log(database: Pool, log: Log) -> None:
    await log.fold([door("t1", 4)])
    async with database.acquire() as connection:
        [first] = await room.first_of(connection, ["kk"])
        [marked] = await room.mark(connection, [first.seat])
        assert await room.mark(connection, [first.seat]) == []
        assert [seat.task_id for seat in await room.unsent(connection, 5)] == ["t1"]
        assert (marked.stage, marked.body) == (1, b'{"number": 1}')

        # The call is seen in its lane: exactly as if nobody had marked it.
        await log.fold([Story("t1").lane(9, order_key="k", sequenced=1)])
        assert await room.unsent(connection, 5) == []
    after_mark = await rows(database)
    await database.execute("TRUNCATE muster.tasks, muster.turns")
    await log.fold([door("t1", 4), Story("t1").lane(9, order_key="k", sequenced=1)])

    assert await rows(database) == after_mark


async def test_what_can_let_a_task_be_called_makes_its_queue_due(database: Pool, log: Log) -> None:
    async with database.acquire() as connection:

        async def due() -> list[str]:
            return sorted(await room.take_due(connection, 10))

        await log.fold([door("t1", 1), door("t2", 2), door("t3", 3, key=None)])
        assert await due() == ["kk", "tt3"]
        assert await due() == []

        await log.fold([Story("t1").lane(4, order_key="k", sequenced=1)])
        assert await due() == [], "a call lets nobody begin"

        await log.fold([Record(TOPICS.control, 0, 1, 0, pause_key("noop"), None, ())])
        assert await due() == ["kk", "tt3"], "a resume"

        await log.fold([Story("t1").succeeded(5)])
        assert await due() == ["kk"], "an end"
        assert [first.seat.task_id for first in await room.first_of(connection, ["kk"])] == ["t2"]

        await room.make_due(connection, ["later"], after=60)
        assert await due() == []


async def test_a_row_that_the_api_writes_ahead_takes_no_place_in_the_queue(database: Pool) -> None:
    fold = Fold()
    READER.read(door("t2", 8), fold)

    await Store(database).write(fold, {})

    # Whoever stands before it may not have been folded yet.
    assert await rows(database) == []
    assert await database.fetchval("SELECT state FROM muster.tasks") == "PENDING"


async def test_the_first_of_a_queue_stands_first_at_the_door_and_is_busy_while_one_is_called(
    database: Pool, log: Log
) -> None:
    await log.fold([door("t9", 1), door("t1", 2), door("t5", 3)])
    await log.fold([Story("t5").lane(4, order_key="k", sequenced=1)])

    async with database.acquire() as connection:
        [first] = await room.first_of(connection, ["kk", "nobody"])

    assert (first.seat.task_id, first.standing.queue_busy, first.bytes) == ("t9", True, 13)
