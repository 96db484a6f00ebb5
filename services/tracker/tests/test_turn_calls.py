"""The tracker calls keyed tasks one after another, on the real Kafka and PostgreSQL. Workers are played by the test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from muster.adapters.clock import SystemClock
from muster.adapters.kafka import KafkaBroker
from muster.contracts.control import Revocation
from muster.contracts.dead_letter import parse_provenance
from muster.contracts.envelope import TaskRecord, parse_task
from muster.contracts.events import Revoked, Succeeded, decode_event, encode_event, encode_json
from muster.contracts.pauses import Pause, pause_key
from muster.contracts.topics import Topics
from muster.ports import Producer, Record, TopicPartition
from muster.settings import Settings
from tracker_service.database import Pool
from tracker_service.service import Tracker
from tracker_service.settings import TrackerSettings
from tracker_service.testing.until import until

pytest_plugins = ["tracker_service.testing.fixtures"]

CLOCK = SystemClock()
Tracking = Callable[[], AbstractAsyncContextManager[None]]


class Floor:
    """What stands in the topics, and what clients and workers would write."""

    def __init__(self, broker: KafkaBroker, topics: Topics, producer: Producer) -> None:
        self.topics, self._producer = topics, producer
        self.lane = topics.lane("media")
        self._consumer = broker.consumer()
        self._read: dict[str, list[Record]] = {}

    async def open(self) -> None:
        counts = {self.lane: 6, self.topics.events: 6, self.topics.retry: 6, self.topics.dead_letter: 3}
        self._consumer.assign([TopicPartition(topic, n) for topic, count in counts.items() for n in range(count)])
        await self._consumer.start()

    async def close(self) -> None:
        await self._consumer.stop()

    async def enqueue(self, task_id: str, key: str | None = "k", **changes: Any) -> TaskRecord:
        task = TaskRecord(
            task_id=task_id, task_type=changes.pop("task_type", "noop"), body=b'{"n":1}', order_key=key,
            route=changes.pop("route", self.lane), **changes,
        )  # fmt: skip
        await (await self._producer.send(self.topics.keyed, task.body, key=task.key, headers=task.headers()))
        return task

    async def succeed(self, task_id: str) -> None:
        event = Succeeded(
            task_id=task_id, task_type="noop", attempt=1, delivery=1, worker="w", at=CLOCK.now(), started_at=CLOCK.now()
        )
        await (await self._producer.send(self.topics.events, encode_event(event), key=task_id.encode()))

    async def order(self, key: bytes, value: bytes | None) -> None:
        await (await self._producer.send(self.topics.control, value, key=key))

    async def records(self, topic: str) -> list[Record]:
        for record in await self._consumer.poll(timeout=0.05):
            self._read.setdefault(record.topic, []).append(record)
        return self._read.get(topic, [])

    async def until_written(self, topic: str, count: int) -> list[Record]:
        async def there() -> bool:
            return len(await self.records(topic)) >= count

        await until(there, f"{count} records stand in {topic}")
        return await self.records(topic)

    async def called(self) -> list[TaskRecord]:
        """What stands in the lane by now."""
        return [parse_task(record.headers, record.value) for record in await self.records(self.lane)]

    async def until_called(self, *task_ids: str) -> list[TaskRecord]:
        """Wait until exactly these stand in the lane, in whatever order where they have no common key."""

        async def there() -> bool:
            found = [task.task_id for task in await self.called()]
            assert set(found) <= set(task_ids), f"{found} were called"
            return sorted(found) == sorted(task_ids)

        await until(there, f"{task_ids} are called")
        return await self.called()

    async def until_revoked(self, task_id: str) -> Revoked:
        found: list[Revoked] = []

        async def there() -> bool:
            events = [decode_event(record.value or b"") for record in await self.records(self.topics.events)]
            found[:] = [event for event in events if isinstance(event, Revoked) and event.task_id == task_id]
            return bool(found)

        await until(there, f"{task_id} is revoked")
        return found[0]


async def hold(floor: Floor, database: Pool) -> None:
    """Pause the type `held`, and wait until the tracker knows."""
    await floor.order(pause_key("held"), encode_json(Pause(pauses="held", at=CLOCK.now())))

    async def known() -> bool:
        return bool(await database.fetchval("SELECT 1 FROM muster.pauses WHERE paused_at IS NOT NULL"))

    await until(known, "the pause is folded")


@pytest.fixture
async def floor(broker: KafkaBroker, topics: Topics, producer: Producer) -> AsyncIterator[Floor]:
    floor = Floor(broker, topics, producer)
    await floor.open()
    yield floor
    await floor.close()


@pytest.fixture
def tracking(broker: KafkaBroker, database: Pool, settings: Settings) -> Tracking:
    """A whole tracker for as long as the block lasts."""

    @asynccontextmanager
    async def track() -> AsyncIterator[None]:
        stop = asyncio.Event()
        tracker = Tracker(settings, TrackerSettings(http_host="127.0.0.1", http_port=0), broker, CLOCK)
        running = asyncio.create_task(tracker.run(stop))
        try:
            yield
        finally:
            stop.set()
            await asyncio.wait_for(running, 120)

    return track


async def test_the_next_task_of_a_key_is_called_when_the_one_in_front_has_ended(
    floor: Floor, tracking: Tracking, database: Pool
) -> None:
    async with tracking():
        for number in range(3):
            await floor.enqueue(f"a{number}", "cadet-1", submitter=7, extra=(("x-own", b"kept"),))
        await floor.enqueue("b0", "cadet-2")
        [first, _] = sorted(await floor.until_called("a0", "b0"), key=lambda task: task.task_id)
        assert (first.sequenced, first.delivery, first.submitter, first.extra) == (1, 1, 7, (("x-own", b"kept"),))
        assert (first.key, first.route) == (b"cadet-1", None)

        await floor.succeed("a0")
        await floor.until_called("a0", "b0", "a1")
        # The end of another key's task lets nobody else begin; that of the one in front does.
        await floor.succeed("b0")
        await floor.succeed("a1")
        await floor.until_called("a0", "b0", "a1", "a2")
        await floor.succeed("a2")

        async def empty() -> bool:
            return not await database.fetchval("SELECT count(*) FROM muster.turns")

        await until(empty, "the waiting room is empty")


async def test_a_delayed_head_is_called_into_the_retry_topic_and_its_queue_waits(
    floor: Floor, tracking: Tracking
) -> None:
    async with tracking():
        due = CLOCK.now() + timedelta(hours=1)
        await floor.enqueue("later", not_before=due)
        await floor.enqueue("behind")
        await floor.enqueue("other", "other")
        await floor.until_called("other")
        [record] = await floor.until_written(floor.topics.retry, 1)

    task = parse_task(record.headers, record.value)
    assert (task.task_id, task.route, task.not_before, task.sequenced) == ("later", floor.lane, due, 1)


async def test_a_waiting_task_is_revoked_or_expires_where_it_sits(
    floor: Floor, tracking: Tracking, database: Pool
) -> None:
    async def withdrawn() -> bool:
        return not await database.fetchval("SELECT count(*) FROM muster.revocations WHERE requested_at IS NOT NULL")

    async with tracking():
        await floor.enqueue("head")
        await floor.enqueue("revoked")
        await floor.enqueue("expired", expires=CLOCK.now() + timedelta(seconds=0.5))
        await floor.enqueue("last")
        await floor.until_called("head")
        order = Revocation(task_id="revoked", at=CLOCK.now(), by=3)
        await floor.order(b"revoked", encode_json(order))

        revoked, expired = await floor.until_revoked("revoked"), await floor.until_revoked("expired")
        await floor.succeed("head")
        await floor.until_called("head", "last")
        # Nothing but a call could start it, so the order has done its work.
        await until(withdrawn, "the order is withdrawn")

    assert (revoked.topic, revoked.offset) == (floor.topics.keyed, 1)
    assert (revoked.reason, revoked.by) == ("revoked", 3)
    assert (expired.reason, expired.by) == ("expired", None)


async def test_a_call_that_a_crash_left_unwritten_is_written_later_and_one_that_was_written_is_not(
    floor: Floor, tracking: Tracking, database: Pool
) -> None:
    async with tracking():
        await floor.enqueue("written", "k1")
        await floor.until_called("written")
        await hold(floor, database)
        await floor.enqueue("unwritten", "k2", task_type="held")

        async def waits() -> bool:
            return bool(await database.fetchval("SELECT 1 FROM muster.turns WHERE task_id = 'unwritten'"))

        await until(waits, "it waits")
    # The tracker died after its mark: in one case the record had got through, in the other not.
    await database.execute("UPDATE muster.turns SET stage = 1, sent = false, came_at = 'infinity'")

    async with tracking():
        again = await floor.until_called("written", "unwritten")

        async def sent() -> bool:
            return bool(await database.fetchval("SELECT bool_and(sent) FROM muster.turns"))

        await until(sent, "both calls are known to be written")
        assert len(await floor.called()) == 2

    assert {(task.task_id, task.sequenced, task.delivery) for task in again} == {("written", 1, 1), ("unwritten", 1, 1)}


async def test_a_projection_that_is_folded_anew_calls_nobody_twice_and_has_the_same_rows(
    floor: Floor, tracking: Tracking, database: Pool
) -> None:
    async def room() -> list[tuple[object, ...]]:
        return [tuple(row) for row in await database.fetch("SELECT * FROM muster.turns ORDER BY task_id")]

    async def noted() -> bool:
        return [(row[4], row[8]) for row in await room()] == [(1, True), (0, False), (0, False)]

    async with tracking():
        for number in range(4):
            await floor.enqueue(f"a{number}")
        await floor.until_called("a0")
        await floor.succeed("a0")
        await floor.until_called("a0", "a1")
        await until(noted, "the call is folded")
    before = await room()
    await database.execute("TRUNCATE muster.tasks, muster.claims, muster.turns, muster.turns_due, muster.offsets")

    async with tracking():
        await until(noted, "the log is folded again")
        assert await room() == before
        await floor.succeed("a1")
        await floor.until_called("a0", "a1", "a2")


async def test_what_comes_to_the_door_and_is_no_task_or_has_no_lane_becomes_a_dead_letter(
    floor: Floor, tracking: Tracking
) -> None:
    async with tracking():
        await floor.enqueue("nowhere", route=None)
        await floor.enqueue("astray", route="tasks.nobody.high")
        await floor.enqueue("sound")
        await floor.until_called("sound")
        letters = await floor.until_written(floor.topics.dead_letter, 2)

    why = [parse_provenance(record.headers) for record in letters]
    assert {(letter.task_id, letter.failure.kind) for letter in why} == {("nowhere", "invalid"), ("astray", "invalid")}
    assert all(letter.topic == floor.topics.keyed and "task-route" in letter.failure.message for letter in why)


async def test_a_paused_type_waits_in_its_order_and_disturbs_nobody(
    floor: Floor, tracking: Tracking, database: Pool
) -> None:
    async with tracking():
        await hold(floor, database)
        await floor.enqueue("held-head", "k", task_type="held")
        await floor.enqueue("behind", "k")
        begun = CLOCK.now()
        for number in range(1000):
            # As a worker forwards them: they have no key, and are in their second attempt.
            submitted = begun + timedelta(milliseconds=number)
            await floor.enqueue(f"held-{number:04}", None, task_type="held", attempt=2, submitted_at=submitted)
        await floor.enqueue("free", "other")
        await floor.until_called("free")
        held = [f"held-{number:04}" for number in range(1000)]

        async def folded() -> bool:
            return bool(await database.fetchval("SELECT count(*) = 1002 FROM muster.turns WHERE stage = 0"))

        await until(folded, "all of them wait")
        assert [task.task_id for task in await floor.called()] == ["free"]

        await floor.order(pause_key("held"), None)
        tasks = await floor.until_called("free", "held-head", *held)

    of_lane = [task.task_id for task in tasks if task.attempt == 2]
    assert sorted(of_lane) == held
    assert {(task.attempt, task.delivery, task.sequenced) for task in tasks if task.attempt == 2} == {(2, 1, 1)}
    assert msgspec.json.decode(tasks[0].body) == {"n": 1}


async def test_a_task_that_a_worker_brought_is_called_once_its_lane_record_can_start_nobody(
    floor: Floor, tracking: Tracking, broker: KafkaBroker, database: Pool
) -> None:
    async with tracking():
        # Its worker was killed before it committed: another one may be handed the record in the lane.
        await floor.enqueue("brought", sequenced=1, left=f"{floor.lane}/0/0")
        await floor.enqueue("other", "other")
        await floor.until_called("other")

        async def seated() -> bool:
            return bool(await database.fetchval("SELECT 1 FROM muster.turns WHERE task_id = 'brought' AND stage = 2"))

        await until(seated, "it waits")
        assert [task.task_id for task in await floor.called()] == ["other"]

        await accept(broker, floor, TopicPartition(floor.lane, 0))
        called = await floor.until_called("other", "brought")

    assert [(task.sequenced, task.left) for task in called if task.task_id == "brought"] == [(2, None)]


async def test_an_order_against_a_task_that_was_brought_stands_until_its_lane_record_can_start_nobody(
    floor: Floor, tracking: Tracking, broker: KafkaBroker, database: Pool
) -> None:
    async def ordered() -> list[str]:
        rows = await database.fetch("SELECT task_id FROM muster.revocations WHERE requested_at IS NOT NULL")
        return [row["task_id"] for row in rows]

    async def withdrawn() -> bool:
        return await ordered() == []

    async def others_withdrawn() -> bool:
        return await ordered() == ["brought"]

    async with tracking():
        await floor.enqueue("brought", sequenced=1, left=f"{floor.lane}/0/0")
        await floor.order(b"brought", encode_json(Revocation(task_id="brought", at=CLOCK.now())))
        revoked = await floor.until_revoked("brought")
        assert (revoked.topic, revoked.partition, revoked.offset) == (floor.lane, 0, 0)
        # Another order, given later, is withdrawn: the leader has looked at this one too.
        await floor.enqueue("ended", "other")
        await floor.until_called("ended")
        await floor.order(b"ended", encode_json(Revocation(task_id="ended", at=CLOCK.now())))
        await floor.succeed("ended")
        await until(others_withdrawn, "the leader has looked")

        await accept(broker, floor, TopicPartition(floor.lane, 0))
        await until(withdrawn, "the order is withdrawn")


async def accept(broker: KafkaBroker, floor: Floor, partition: TopicPartition) -> None:
    """Commit past the first record of a lane's partition, as its workers do."""
    consumer = broker.consumer(group=floor.topics.group("media"))
    consumer.subscribe([partition.topic])
    await consumer.start()

    async def assigned() -> bool:
        return partition in consumer.assignment()

    await until(assigned, "the partition is ours")
    await consumer.commit({partition: 1})
    await consumer.stop()
