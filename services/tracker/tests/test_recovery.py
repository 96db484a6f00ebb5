"""Tasks of dead workers come back: the barrier against the real Kafka and PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import msgspec
import pytest
from muster.adapters.clock import SystemClock
from muster.adapters.kafka import KafkaBroker
from muster.contracts.dead_letter import parse_provenance
from muster.contracts.envelope import HandedBack, TaskRecord, parse_task
from muster.contracts.events import Abandoned, Heartbeat, Started, encode_event, encode_json
from muster.contracts.topics import Topics
from muster.ports import Position, Producer, Record, TopicPartition
from muster.settings import Settings
from tracker_service.database import Pool
from tracker_service.service import Tracker
from tracker_service.settings import TrackerSettings
from tracker_service.testing.until import until

pytest_plugins = ["tracker_service.testing.fixtures"]

CLOCK = SystemClock()


class Fleet:
    """Writes what workers write, and reads what recovery answers."""

    def __init__(self, broker: KafkaBroker, topics: Topics, producer: Producer) -> None:
        self.broker = broker
        self.topics = topics
        self.producer = producer
        self.lane = topics.lane("media")

    async def submit(self, task_id: str, **changes: Any) -> tuple[TaskRecord, Position]:
        task = TaskRecord(task_id=task_id, task_type="noop", body=b'{"n":1}', extra=(("x-own", b"kept"),), **changes)
        return task, await (await self.producer.send(self.lane, task.body, key=task.key, headers=task.headers()))

    async def claim(self, task: TaskRecord, where: Position, worker: str, *, taken_back: bool = False) -> None:
        said = {
            "task_id": task.task_id, "task_type": "noop", "attempt": task.attempt, "delivery": task.delivery,
            "worker": worker, "at": CLOCK.now(), **where._asdict(),
        }  # fmt: skip
        kinds = ("STARTED", "ABANDONED") if taken_back else ("STARTED",)
        for kind in kinds:
            event = msgspec.convert({"event": kind, **said}, Started if kind == "STARTED" else Abandoned)
            await (await self.producer.send(self.topics.events, encode_event(event), key=task.task_id.encode()))

    async def beat(self, worker: str, *, leaving: bool = False) -> None:
        beat = Heartbeat(
            worker=worker, service="media", at=CLOCK.now(), host="h", version="1", slots=1, running=1, leaving=leaving
        )
        await (await self.producer.send(self.topics.workers, encode_json(beat), key=worker.encode()))

    async def accept(self, positions: list[Position]) -> None:
        """Commit past these records, as the group of the workers."""
        consumer = self.broker.consumer(group=self.topics.group("media"))
        consumer.subscribe([self.lane])
        await consumer.start()
        offsets: dict[TopicPartition, int] = {}
        for position in positions:
            partition = TopicPartition(position.topic, position.partition)
            offsets[partition] = max(offsets.get(partition, 0), position.offset + 1)
        await consumer.commit(offsets)
        await consumer.stop()

    async def read(self, topic: str, count: int) -> list[Record]:
        """The first `count` records of a topic."""
        consumer = self.broker.consumer()
        consumer.assign([TopicPartition(topic, number) for number in range(6 if topic == self.lane else 3)])
        await consumer.start()
        records: list[Record] = []
        try:
            async with asyncio.timeout(60):
                while len(records) < count:
                    records += await consumer.poll(timeout=0.5)
        finally:
            await consumer.stop()
        return records


@pytest.fixture
async def fleet(broker: KafkaBroker, topics: Topics, producer: Producer) -> Fleet:
    return Fleet(broker, topics, producer)


@pytest.fixture
async def tracker(broker: KafkaBroker, database: Pool, settings: Settings) -> AsyncIterator[Tracker]:
    """A whole tracker, on a port of its own."""
    async with AsyncExitStack() as stack:
        stop = asyncio.Event()
        tracker = Tracker(settings, TrackerSettings(http_host="127.0.0.1", http_port=0), broker, CLOCK)
        running = asyncio.create_task(tracker.run(stop))
        stack.push_async_callback(asyncio.wait_for, running, 30)
        stack.callback(stop.set)
        yield tracker


async def test_what_a_dead_worker_had_accepted_comes_back_as_the_next_delivery(fleet: Fleet, tracker: Tracker) -> None:
    submitted = [await fleet.submit(f"task-{number}", submitter=7) for number in range(30)]
    for task, where in submitted:
        await fleet.claim(task, where, "dead")
    await fleet.beat("dead")
    await fleet.accept([where for _, where in submitted])

    records = await fleet.read(fleet.lane, 60)

    again = [task for task in (parse_task(record.headers, record.value) for record in records) if task.delivery == 2]
    assert {task.task_id for task in again} == {task.task_id for task, _ in submitted}
    assert len(again) == 30
    assert {(task.submitter, task.body, task.extra) for task in again} == {(7, b'{"n":1}', (("x-own", b"kept"),))}


async def test_a_worker_that_said_good_bye_is_not_waited_for(fleet: Fleet, tracker: Tracker) -> None:
    task, where = await fleet.submit("left")
    await fleet.claim(task, where, "leaver")
    await fleet.accept([where])
    await fleet.beat("leaver", leaving=True)

    records = await fleet.read(fleet.lane, 2)

    assert parse_task(records[-1].headers, records[-1].value).delivery == 2


async def test_what_a_living_worker_gave_back_although_it_was_accepted_comes_back(
    fleet: Fleet, tracker: Tracker
) -> None:
    # Given: the commit stood, its answer was lost, the group moved on, and the next answer was a refusal.
    task, where = await fleet.submit("given-back")
    await fleet.beat("living")
    await fleet.accept([where])
    await fleet.claim(task, where, "living", taken_back=True)

    records = await fleet.read(fleet.lane, 2)

    assert parse_task(records[-1].headers, records[-1].value).delivery == 2


async def test_what_was_never_accepted_is_left_to_kafka_and_a_living_worker_is_left_alone(
    fleet: Fleet, tracker: Tracker, database: Pool
) -> None:
    lost, lost_at = await fleet.submit("lost", order_key="one partition")
    alive, alive_at = await fleet.submit("alive", order_key="one partition")
    unaccepted, unaccepted_at = await fleet.submit("unaccepted", order_key="one partition")
    await fleet.claim(lost, lost_at, "dead")
    await fleet.claim(alive, alive_at, "dead")
    await fleet.claim(alive, alive_at, "living")
    await fleet.claim(unaccepted, unaccepted_at, "dead")
    await fleet.accept([lost_at, alive_at])

    async def redelivered() -> bool:
        await fleet.beat("living")
        return bool(await database.fetchval("SELECT delivery = 2 FROM muster.tasks WHERE task_id = 'lost'"))

    await until(redelivered, "the lost task delivered again")

    rows = await database.fetch("SELECT task_id, state, delivery FROM muster.tasks ORDER BY task_id")
    assert [tuple(row) for row in rows] == [
        ("alive", "STARTED", 1), ("lost", "PENDING", 2), ("unaccepted", "STARTED", 1),
    ]  # fmt: skip


async def test_a_claim_taken_back_does_not_hide_that_the_task_was_lost(fleet: Fleet, tracker: Tracker) -> None:
    task, where = await fleet.submit("twice-claimed")
    await fleet.beat("abandoner")
    await fleet.claim(task, where, "abandoner", taken_back=True)
    await fleet.claim(task, where, "dead")
    await fleet.accept([where])

    records = await fleet.read(fleet.lane, 2)

    assert parse_task(records[-1].headers, records[-1].value).delivery == 2


async def test_a_task_that_costs_three_workers_is_given_up(fleet: Fleet, tracker: Tracker) -> None:
    task, where = await fleet.submit("poison", delivery=3)
    await fleet.claim(task, where, "third")
    await fleet.accept([where])

    (letter,) = await fleet.read(fleet.topics.dead_letter, 1)

    why = parse_provenance(letter.headers)
    assert (why.failure.kind, why.task_id, why.delivery) == ("worker_lost", "poison", 3)
    assert letter.value == b'{"n":1}'


async def test_deliveries_that_were_handed_back_are_no_lost_workers(fleet: Fleet, tracker: Tracker) -> None:
    task, where = await fleet.submit("travelled", delivery=3, handed_back=HandedBack(2, 2, "second", CLOCK.now()))
    await fleet.claim(task, where, "third")
    await fleet.accept([where])

    records = await fleet.read(fleet.lane, 2)

    again = parse_task(records[-1].headers, records[-1].value)
    assert (again.delivery, again.handed_back) == (4, task.handed_back)


async def test_a_lost_task_whose_record_is_gone_is_given_up_with_what_is_known(fleet: Fleet, tracker: Tracker) -> None:
    task, where = await fleet.submit("gone")
    _, other = await fleet.submit("another")
    await fleet.claim(task, other, "dead")
    await fleet.accept([where, other])

    (letter,) = await fleet.read(fleet.topics.dead_letter, 1)

    assert parse_provenance(letter.headers).failure.message.startswith("its record is no longer in Kafka")
    assert dict(letter.headers)["ce_id"] == b"gone"
