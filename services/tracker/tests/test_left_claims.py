"""Claims to lane records that a task has left by a later call: they bring nothing back and hold nobody up."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta

import pytest
from muster.contracts.recovery import Verdict as Judgement
from muster.contracts.recovery import judge
from muster.ports import Record, TopicPartition
from tracker_service.database import Pool
from tracker_service.projection.fold import Fold
from tracker_service.projection.reading import Reader
from tracker_service.projection.store import Store
from tracker_service.recovery import claims
from tracker_service.testing.records import LANE, TOPICS, Story, at
from tracker_service.testing.rows import dump
from tracker_service.turns import room
from tracker_service.turns.decision import Verdict, verdict_of

pytest_plugins = ["tracker_service.testing.fixtures"]

READER = Reader(TOPICS)
DOOR = TopicPartition(TOPICS.keyed, 0)
STORY = Story("t1")
ZOMBIE = frozenset({"zombie"})
COMMITTED = {(LANE, 0): 100}


class Log:
    """Folds records as the projector does."""

    def __init__(self, pool: Pool) -> None:
        self._store = Store(pool)
        self._offset = 0

    async def fold(self, *records: Record) -> None:
        fold = Fold()
        for record in records:
            READER.read(record, fold)
        await self._store.begin({DOOR: 0})
        await self._store.write(fold, {DOOR: (self._offset, self._offset + 1)})
        self._offset += 1


@pytest.fixture
def log(database: Pool) -> Log:
    return Log(database)


def door(seconds: float, sequenced: int, left: str | None = None) -> Record:
    record = STORY.lane(seconds, route=LANE, order_key="k", sequenced=sequenced, left=left)
    return record._replace(topic=TOPICS.keyed, offset=int(seconds))


def lane(seconds: float, sequenced: int) -> Record:
    return STORY.lane(seconds, order_key="k", sequenced=sequenced)


#: Called; the record of that call, at offset 3 of its lane, was brought back by a worker that knew of a pause.
BROUGHT_BACK = [door(1, 0), lane(2, 1), door(3, 1, f"{LANE}/0/3")]
#: What a worker says that had the same record in hand and was frozen before it could say so.
LATE = STORY.started(5, worker="zombie", offset=3, sequenced=1)


async def suspects(database: Pool) -> list[claims.Suspect]:
    async with database.acquire() as connection:
        return await claims.suspects(connection, ZOMBIE)


async def verdict(database: Pool) -> Verdict:
    async with database.acquire() as connection:
        await room.clear(connection, await room.uncleared(connection, 10))
        [first] = await room.first_of(connection, ["kk"])
    return verdict_of(first.seat, first.standing, at(0) + timedelta(days=1))


async def test_a_late_claim_to_a_record_that_was_left_before_the_call_brings_nothing_back(
    database: Pool, log: Log
) -> None:
    await log.fold(*BROUGHT_BACK, lane(4, 2), LATE)

    assert await database.fetchval("SELECT state FROM muster.tasks") == "STARTED"
    assert await suspects(database) == []

    # The call itself is accepted by a worker that dies: this one counts, and its record is the one to write again.
    await log.fold(STORY.started(6, worker="zombie", offset=7, sequenced=2))
    [suspect] = await suspects(database)
    assert [claim.offset for claim in suspect.claims] == [7]
    assert judge(suspect.claims, dead=ZOMBIE, committed=COMMITTED) is Judgement.LOST


async def test_before_the_next_call_a_claim_to_the_record_that_was_brought_back_still_counts(
    database: Pool, log: Log
) -> None:
    # Whoever brought it may have been refused its commit, and the claimer may have accepted the record.
    await log.fold(*BROUGHT_BACK, LATE)

    [suspect] = await suspects(database)
    assert [claim.offset for claim in suspect.claims] == [3]
    assert await verdict(database) is Verdict.AWAY


async def test_a_claim_that_does_not_say_its_call_counts(database: Pool, log: Log) -> None:
    await log.fold(*BROUGHT_BACK, lane(4, 2), STORY.started(5, worker="zombie", offset=3))

    assert len(await suspects(database)) == 1


async def test_a_claim_that_was_left_does_not_keep_a_returned_task_from_its_next_call(database: Pool, log: Log) -> None:
    returned_again = door(8, 2, f"{LANE}/0/7")
    await log.fold(*BROUGHT_BACK, lane(4, 2), LATE, returned_again)
    assert await verdict(database) is Verdict.CALL

    await log.fold(STORY.started(9, worker="w2", offset=7, sequenced=2))
    assert await verdict(database) is Verdict.AWAY


async def test_a_claim_seen_between_the_decision_and_the_mark_keeps_the_task_from_being_called(
    database: Pool, log: Log
) -> None:
    await log.fold(*BROUGHT_BACK)
    assert await verdict(database) is Verdict.CALL
    async with database.acquire() as connection:
        [first] = await room.first_of(connection, ["kk"])
        await log.fold(LATE)
        assert await room.mark(connection, [first.seat]) == []

        # Recovery judges by it, so what it writes is the only thing that goes on.
        await log.fold(STORY.lane(10, order_key="k", sequenced=1, delivery=2))
        assert await room.mark(connection, [first.seat]) == []


async def test_recovery_waits_for_a_mark_that_is_being_made_and_sees_it(database: Pool, log: Log) -> None:
    await log.fold(*BROUGHT_BACK)
    async with database.acquire() as connection:
        [first] = await room.first_of(connection, ["kk"])
        async with connection.transaction():
            [marked] = await room.mark(connection, [first.seat])
            await log.fold(LATE)
            looking = asyncio.create_task(suspects(database))
            # It is behind the lock: what it finds hangs on the mark alone.
            while not await connection.fetchval("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"):
                assert not looking.done()

    assert marked.stage == 3
    assert await looking == []


@pytest.mark.parametrize("seed", range(3))
async def test_what_a_claim_says_of_its_call_is_the_same_in_whatever_order_it_is_folded(
    database: Pool, log: Log, seed: int
) -> None:
    records = [*BROUGHT_BACK, lane(4, 2), LATE, STORY.abandoned(6, worker="zombie", offset=3, sequenced=1)]
    await log.fold(*records)
    expected = await dump(database)
    assert await database.fetchval("SELECT sequenced FROM muster.claims") == 1

    await database.execute("TRUNCATE muster.tasks, muster.claims, muster.turns")
    random.Random(seed).shuffle(records)
    for record in records:
        await log.fold(record)

    assert await dump(database) == expected
