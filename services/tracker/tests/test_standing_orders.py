"""How long an order stands: until no record of its task can come any more. On the real Kafka and PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from muster.adapters.clock import SystemClock
from muster.adapters.kafka import KafkaBroker
from muster.contracts.control import Revocation, RevocationRule
from muster.contracts.envelope import TaskRecord
from muster.contracts.events import Revoked, Succeeded, encode_event, encode_json
from muster.contracts.topics import Topics
from muster.ports import Position, Producer, TopicPartition
from muster.settings import Settings
from tracker_service.database import Pool
from tracker_service.recovery.orders import covers
from tracker_service.service import Tracker
from tracker_service.settings import TrackerSettings
from tracker_service.testing.until import until

pytest_plugins = ["tracker_service.testing.fixtures"]

CLOCK = SystemClock()
MONTH = timedelta(days=30)


class Scene:
    """Writes what clients, workers and people write; reads what the tracker made of it."""

    def __init__(self, broker: KafkaBroker, producer: Producer, topics: Topics, database: Pool) -> None:
        self.broker = broker
        self.producer = producer
        self.topics = topics
        self.database = database
        self.lane = topics.lane("media")

    async def submit(self, task_id: str, topic: str | None = None, **changes: Any) -> Position:
        said: dict[str, Any] = {"task_type": "noop", "body": b"{}", "submitted_at": CLOCK.now(), "submitter": 7}
        task = TaskRecord(task_id=task_id, **(said | changes))
        return await (await self.producer.send(topic or self.lane, task.body, key=task.key, headers=task.headers()))

    async def submit_for_next_month(self, task_id: str) -> None:
        await self.submit(task_id, self.topics.retry, not_before=CLOCK.now() + MONTH, route=self.lane)

    async def order(self, order: Revocation | RevocationRule) -> None:
        await (await self.producer.send(self.topics.control, encode_json(order), key=order.key))

    async def confirm(self, task_id: str, record: Position, **changes: Any) -> None:
        """A worker has this record in hand and says REVOKED."""
        said: dict[str, Any] = {"attempt": 1, "delivery": 1, "worker": "w", "at": CLOCK.now(), "reason": "revoked"}
        event = Revoked(task_id=task_id, task_type="noop", **said, **record._asdict(), **changes)
        await (await self.producer.send(self.topics.events, encode_event(event), key=task_id.encode()))

    async def commit(self, record: Position) -> None:
        consumer = self.broker.consumer(group=self.topics.group("media"))
        consumer.subscribe([self.lane])
        await consumer.start()
        await consumer.commit({TopicPartition(record.topic, record.partition): record.offset + 1})
        await consumer.stop()

    async def state(self, task_id: str) -> str | None:
        found = await self.database.fetchval("SELECT state FROM muster.tasks WHERE task_id = $1", task_id)
        return None if found is None else str(found)

    async def ordered(self) -> list[str]:
        """Tasks with an order in force."""
        rows = await self.database.fetch(
            "SELECT task_id FROM muster.revocations WHERE requested_at IS NOT NULL ORDER BY task_id"
        )
        return [row["task_id"] for row in rows]

    async def looked_again(self) -> None:
        """The leader has gone through its orders at least once since the call: a later one was withdrawn."""
        await self.submit("probe")
        await self.order(Revocation(task_id="probe", at=CLOCK.now()))
        now = CLOCK.now()
        event = Succeeded(
            task_id="probe", task_type="noop", attempt=1, delivery=1, worker="w", at=now, started_at=now,
            result=msgspec.Raw(b"1"),
        )  # fmt: skip
        await (await self.producer.send(self.topics.events, encode_event(event), key=b"probe"))

        async def withdrawn() -> bool:
            return bool(
                await self.database.fetchval(
                    "SELECT requested_at IS NULL FROM muster.revocations WHERE task_id = 'probe'"
                )
            )

        await until(withdrawn, "the order against the probe is withdrawn")


@pytest.fixture
async def scene(
    broker: KafkaBroker, producer: Producer, topics: Topics, database: Pool, settings: Settings
) -> AsyncIterator[Scene]:
    """A whole tracker, and no worker."""
    async with AsyncExitStack() as stack:
        stop = asyncio.Event()
        tracker = Tracker(settings, TrackerSettings(http_host="127.0.0.1", http_port=0), broker, CLOCK)
        running = asyncio.create_task(tracker.run(stop))
        stack.push_async_callback(asyncio.wait_for, running, 30)
        stack.callback(stop.set)
        yield Scene(broker, producer, topics, database)


async def test_a_task_due_in_a_month_is_revoked_now_and_its_order_stays_for_who_meets_the_record(scene: Scene) -> None:
    await scene.submit_for_next_month("far")
    await scene.order(Revocation(task_id="far", at=CLOCK.now(), by=3))

    async def revoked() -> bool:
        return await scene.state("far") == "REVOKED"

    await until(revoked, "the tracker confirms it")
    await scene.looked_again()
    assert await scene.ordered() == ["far"]

    # When: it has come out of the wheel, and a worker has it in hand and accepts it.
    record = await scene.submit("far", not_before=CLOCK.now())
    await scene.confirm("far", record)
    await scene.looked_again()
    assert await scene.ordered() == ["far"], "until the commit stands, the record can be handed out again"
    await scene.commit(record)

    async def withdrawn() -> bool:
        return await scene.ordered() == []

    await until(withdrawn, "the order is withdrawn")
    row = await scene.database.fetchrow("SELECT state, worker, detail FROM muster.tasks WHERE task_id = 'far'")
    assert row is not None
    assert row["state"] == "REVOKED"
    assert row["worker"].startswith("tracker"), "the first word on it stays"
    assert '"due"' in row["detail"]


async def test_a_near_task_is_left_to_its_worker(scene: Scene) -> None:
    await scene.submit("near", scene.topics.retry, not_before=CLOCK.now() + timedelta(seconds=20), route=scene.lane)
    await scene.order(Revocation(task_id="near", at=CLOCK.now()))

    await scene.looked_again()

    assert (await scene.state("near"), await scene.ordered()) == ("PENDING", ["near"])


async def test_an_order_against_a_round_that_is_over_is_withdrawn(scene: Scene) -> None:
    await scene.submit("again", redrive=1)
    await scene.order(Revocation(task_id="again", at=CLOCK.now()))

    await scene.looked_again()

    assert (await scene.state("again"), await scene.ordered()) == ("PENDING", [])


async def test_withdrawing_the_order_of_one_round_leaves_the_next_one_in_force(scene: Scene) -> None:
    # Given: the first round's order is withdrawn by a leader that looked before the second one was given.
    await scene.submit("again", redrive=1)
    await scene.order(Revocation(task_id="again", at=CLOCK.now(), redrive=1))
    await (await scene.producer.send(scene.topics.control, None, key=b"again"))

    await scene.looked_again()

    assert await scene.ordered() == ["again"]


async def test_an_order_against_a_round_that_is_yet_to_be_seen_stands_and_is_not_one_against_this_round(
    scene: Scene,
) -> None:
    # Given: the record of the second round is not folded yet, while the first one has ended or waits.
    await scene.submit_for_next_month("waits")
    await scene.submit("ended")
    for task_id in ("waits", "ended"):
        await scene.order(Revocation(task_id=task_id, at=CLOCK.now(), redrive=1))
    now = CLOCK.now()
    end = Succeeded(task_id="ended", task_type="noop", attempt=1, delivery=1, worker="w", at=now, started_at=now)
    await (await scene.producer.send(scene.topics.events, encode_event(end), key=b"ended"))

    async def known() -> bool:
        return (await scene.state("ended"), await scene.ordered()) == ("SUCCESS", ["ended", "waits"])

    await until(known, "both orders and the end are folded")
    await scene.looked_again()

    assert (await scene.state("waits"), await scene.ordered()) == ("PENDING", ["ended", "waits"])
    task = TaskRecord(task_id="waits", task_type="noop", body=b"{}")
    order = Revocation(task_id="waits", at=now, redrive=1)
    for redrive, meant in ((0, False), (1, True), (2, False)):
        round_of = msgspec.structs.replace(task, redrive=redrive)
        assert order.covers(round_of, enqueued=now) is meant
        # What the workers obey is what the queries say.
        found = await scene.database.fetchval(
            f"SELECT count(*) FROM muster.revocations r JOIN (VALUES ('waits', {redrive})) AS t (task_id, redrive)"  # noqa: S608
            f" ON {covers('r', 't')}"
        )
        assert bool(found) is meant


async def test_an_order_against_an_id_never_seen_stands(scene: Scene) -> None:
    # Given: its record may be on its way; what outlives every retention is withdrawn after thirty days.
    await scene.order(Revocation(task_id="unseen", at=CLOCK.now()))
    await scene.order(Revocation(task_id="forgotten", at=CLOCK.now() - timedelta(days=31)))

    await scene.looked_again()

    assert await scene.ordered() == ["unseen"]


async def test_a_rule_becomes_an_order_for_each_of_its_tasks_and_goes(scene: Scene) -> None:
    for number in range(30):
        await scene.submit_for_next_month(f"far-{number:02d}")
    await scene.submit("unfit", submitter=8)
    # Written after all of them, and read before some of them: the topics are folded each at its own pace.
    rule = RevocationRule(rule_id="r1", at=CLOCK.now(), submitter=7, by=3)
    await scene.order(rule)
    await scene.submit("later", submitted_at=CLOCK.now() + timedelta(seconds=1))

    async def expanded() -> bool:
        return bool(await scene.database.fetchval("SELECT requested_at IS NULL FROM muster.revocation_rules"))

    await until(expanded, "the rule is withdrawn")

    assert await scene.ordered() == [f"far-{number:02d}" for number in range(30)]

    async def all_revoked() -> bool:
        found = await scene.database.fetchval("SELECT count(*) FROM muster.tasks WHERE state = 'REVOKED'")
        return bool(found == 30)

    await until(all_revoked, "each of them is confirmed")
    assert (await scene.state("unfit"), await scene.state("later")) == ("PENDING", "PENDING")
