"""Schedules of the whole scheduler on the log in memory, its time owned by the test: fired once, to the millisecond."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from muster.adapters.clock import FakeClock
from muster.adapters.memory import MemoryBroker
from muster.contracts.errors import BrokerError
from muster.contracts.schedule import Schedule, encode_schedule, fire_id
from muster.contracts.topics import WORKER_SERVICES, Topics
from muster.ports import Record, TopicPartition
from scheduler_service.defaults import read_defaults
from scheduler_service.membership import RESTART_SECONDS, Membership

TOPICS = Topics()
EVERY_SECOND = Schedule(name="tick", task_type="noop", service="media", every=1.0)


class Story:
    """A scheduler that begins at midnight UTC."""

    def __init__(self) -> None:
        self.clock = FakeClock(datetime(2026, 11, 23, tzinfo=UTC))
        self.broker = MemoryBroker(self.clock)
        self._running: list[tuple[Membership, asyncio.Task[None]]] = []

    async def start(self, defaults: Sequence[Schedule] = ()) -> Membership:
        scheduler = Membership(self.broker, TOPICS, self.clock, f"scheduler@{len(self._running)}", defaults)
        self._running.append((scheduler, asyncio.create_task(scheduler.run())))
        await self.clock.advance(0.1)
        return scheduler

    async def stop(self) -> None:
        for scheduler, _ in self._running:
            scheduler.stop()
        await self.clock.advance(1)
        for _, running in self._running:
            await running
        self._running.clear()

    async def write(self, schedule: Schedule, *, deleted: bool = False) -> None:
        producer = self.broker.producer()
        await producer.start()
        value = None if deleted else encode_schedule(schedule)
        await producer.send(TOPICS.schedules, value, key=schedule.name.encode())
        await producer.stop()

    async def fired(self) -> list[Record]:
        """Every record of every lane."""
        consumer = self.broker.consumer()
        lanes = [lane for service in WORKER_SERVICES for lane in TOPICS.lanes(service)]
        consumer.assign([TopicPartition(lane, number) for lane in lanes for number in range(6)])
        await consumer.start()
        records: list[Record] = await consumer.poll(max_records=10_000, timeout=0)
        await consumer.stop()
        return records


def header(record: Record, name: str) -> str:
    return dict(record.headers)[name].decode()


def lateness(record: Record) -> float:
    return record.timestamp_ms / 1000 - datetime.fromisoformat(header(record, "task-instant")).timestamp()


def ticks(records: list[Record]) -> list[float]:
    """Instants as seconds after midnight, in order."""
    return sorted(datetime.fromisoformat(header(record, "task-instant")).timestamp() % 86_400 for record in records)


@pytest.fixture
async def story() -> AsyncIterator[Story]:
    story = Story()
    await story.broker.admin().apply(TOPICS.specs())
    yield story
    await story.stop()


async def test_the_default_schedules_fire_at_their_times_in_manila(story: Story) -> None:
    await story.start(read_defaults())

    counts = []
    # 02:00, 03:00, 03:30 and 18:00 there are 18:00, 19:00, 19:30 and 10:00 in UTC.
    for half_hour in range(48):
        story.clock.set(datetime(2026, 11, 23, half_hour // 2, 29 + half_hour % 2 * 30, 58, tzinfo=UTC))
        await story.clock.advance(1.99)
        counts.append(len(await story.fired()))
        await story.clock.advance(0.02)
    found = await story.fired()

    assert counts == [0] * 20 + [1] * 16 + [2] * 2 + [3] + [4] * 9
    assert {header(record, "ce_type"): header(record, "task-instant") for record in found} == {
        "generate_daily_attendance_report": "2026-11-23T10:00:00Z",
        "cleanup_old_notifications": "2026-11-23T18:00:00Z",
        "cleanup_old_audit_logs": "2026-11-23T19:00:00Z",
        "cleanup_old_sync_events": "2026-11-23T19:30:00Z",
    }
    assert len(found) == 4
    assert all(-0.001 < lateness(record) < 0.01 for record in found)
    assert {record.topic for record in found} == {
        "tasks.reports.default", "tasks.notify.bulk", "tasks.import.bulk",
    }  # fmt: skip


async def test_a_fire_is_in_its_lane_under_the_id_that_anybody_can_tell(story: Story) -> None:
    await story.write(EVERY_SECOND)
    await story.start()
    await story.clock.advance(2)

    ids = {header(record, "ce_id") for record in await story.fired()}

    assert ids == {fire_id("tick", datetime(2026, 11, 23, 0, 0, second, tzinfo=UTC)) for second in (1, 2)}


@pytest.mark.parametrize("written", [False, True], ids=["the transaction failed", "only its answer was lost"])
async def test_a_broken_fire_is_neither_lost_nor_doubled(story: Story, written: bool) -> None:
    await story.write(Schedule(name="tick", task_type="noop", service="media", every=10.0, misfire="all"))  # type: ignore[arg-type]
    await story.start()

    for _ in range(5):
        story.broker.fail_next("move", BrokerError("planned"), written=written)
        await story.clock.advance(10)
    await story.clock.advance(RESTART_SECONDS + 1)

    assert ticks(await story.fired()) == [10, 20, 30, 40, 50]


async def test_of_two_schedulers_one_fires_and_the_other_takes_over_without_a_gap(story: Story) -> None:
    await story.write(EVERY_SECOND)
    first = await story.start()
    await story.start()
    await story.clock.advance(5)

    first.stop()
    await story.clock.advance(5)

    found = ticks(await story.fired())
    assert max(Counter(found).values()) == 1
    assert found == [float(second) for second in range(1, 11)]


async def test_an_owner_that_does_not_know_that_it_was_replaced_fires_nothing(story: Story) -> None:
    await story.write(EVERY_SECOND)
    await story.start()
    [member] = story.broker.members(TOPICS.group("scheduler"))
    story.broker.expel(member, rejoin_after=3)
    await story.start()

    await story.clock.advance(10)

    assert ticks(await story.fired()) == [float(second) for second in range(1, 11)]


async def test_what_was_missed_while_nothing_ran_fires_once_and_no_storm_follows(story: Story) -> None:
    await story.write(EVERY_SECOND)
    await story.start()
    await story.clock.advance(2)
    await story.stop()
    before = len(await story.fired())

    await story.clock.advance(600)
    await story.start()
    after = await story.fired()

    assert len(after) == before + 1


async def test_a_change_is_in_force_within_a_second_and_a_deletion_too(story: Story) -> None:
    hourly = Schedule(name="tick", task_type="noop", service="media", cron="0 * * * *")
    await story.write(hourly)
    await story.start()
    await story.write(EVERY_SECOND)
    await story.clock.advance(3)
    assert len(await story.fired()) == 3

    await story.write(EVERY_SECOND, deleted=True)
    await story.clock.advance(10)

    assert len(await story.fired()) == 3


async def test_a_default_that_was_deleted_or_changed_is_not_written_again(story: Story) -> None:
    other = Schedule(name="other", task_type="noop", service="media", every=1.0)
    await story.start([EVERY_SECOND, other])
    await story.write(EVERY_SECOND, deleted=True)
    await story.write(Schedule(name="other", task_type="noop", service="media", every=1.0, enabled=False))
    await story.clock.advance(0.5)
    await story.stop()
    before = len(await story.fired())

    await story.start([EVERY_SECOND, other])
    await story.clock.advance(30)

    assert len(await story.fired()) == before


async def test_a_clock_that_jumps_ahead_or_back_fires_nothing_early(story: Story) -> None:
    await story.write(Schedule(name="tick", task_type="noop", service="media", every=60.0))
    await story.start()
    await story.clock.advance(60)

    story.clock.set(story.clock.now() - timedelta(seconds=45))
    await story.clock.advance(90)
    story.clock.set(story.clock.now() + timedelta(seconds=120))
    await story.clock.advance(60)

    found = await story.fired()
    assert all(lateness(record) > -0.001 for record in found)
    # After the jump from 00:01:45 to 00:03:45 only the latest of what was jumped over fires.
    assert ticks(found) == [60, 180, 240]
