"""What can be seen of the pipeline from outside: who lives, what waits, what is moved on."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta

import pytest
from muster.adapters.memory import MemoryBroker
from muster.contracts.events import Heartbeat, encode_json
from muster.contracts.topics import Topics
from notify_service.alerts.sight import Lookout
from notify_service.domain.pulse import Sight

TOPICS = Topics("t.")


@pytest.fixture
async def broker() -> MemoryBroker:
    broker = MemoryBroker()
    await broker.admin().apply(TOPICS.specs())
    return broker


async def say(broker: MemoryBroker, topic: str, value: bytes, key: bytes = b"k") -> None:
    producer = broker.producer()
    await producer.start()
    await (await producer.send(topic, value, key=key))
    await producer.stop()


async def beat(broker: MemoryBroker, service: str, *, age: float = 0, leaving: bool = False, name: str = "w") -> None:
    at = datetime.now(UTC) - timedelta(seconds=age)
    said = Heartbeat(
        worker=f"{service}@{name}", service=service, at=at, host="h", version="1", slots=1, running=0, leaving=leaving
    )
    await say(broker, TOPICS.workers, encode_json(said))


async def nothing(topics: Collection[str]) -> Mapping[tuple[str, int], int]:
    return {}


async def look(lookout: Lookout) -> Sight:
    return await lookout.see(datetime.now(UTC), 0, 0, nothing)


async def test_who_said_good_bye_is_not_alive(broker: MemoryBroker) -> None:
    await beat(broker, "tracker")
    await beat(broker, "media", name="a")
    await beat(broker, "ocr", name="b")
    await beat(broker, "ocr", name="b", leaving=True)
    await beat(broker, "scheduler", age=4_000)
    lookout = Lookout(broker, TOPICS)

    sight = await look(lookout)

    assert sorted(sight.beats) == ["media", "tracker"]
    await lookout.close()


async def test_tasks_wait_where_nobody_has_taken_them(broker: MemoryBroker) -> None:
    lookout = Lookout(broker, TOPICS)
    await say(broker, TOPICS.lane("ocr"), b"{}")
    await say(broker, TOPICS.lane("ocr", "high"), b"{}")
    await say(broker, TOPICS.lane("media"), b"{}")
    await beat(broker, "media")

    waiting = (await look(lookout)).waiting

    assert (waiting["ocr"], waiting["media"], waiting["reports"]) == (2, 0, 0), "media lives and will take it"
    await lookout.close()


async def test_marks_of_transactions_are_nothing_that_waits(broker: MemoryBroker) -> None:
    mover = broker.transactional_producer("mover")
    await mover.start()
    await mover.move([(TOPICS.retry, b"k", b"{}", ())], {}, TOPICS.group("nobody"))
    group = broker.consumer(group=TOPICS.group("scheduler"))
    group.subscribe([TOPICS.retry])
    await group.start()
    (record,) = await group.poll(timeout=0.1)
    await group.commit({record.source: record.offset + 1})
    assert await group.end_offsets([record.source]) == {record.source: record.offset + 2}, "a mark lies behind it"
    await group.stop()
    await mover.stop()
    lookout = Lookout(broker, TOPICS)

    await look(lookout)
    still = await look(lookout)

    assert still.flows["scheduler"].behind == 0
    await lookout.close()


async def test_a_retry_that_nobody_takes_is_seen_at_every_look(broker: MemoryBroker) -> None:
    await say(broker, TOPICS.retry, b"{}")
    lookout = Lookout(broker, TOPICS)

    seen = [(await look(lookout)).flows["scheduler"] for _ in range(3)]

    assert [(flow.position, flow.behind) for flow in seen] == [(0, 1)] * 3
    await lookout.close()


async def test_the_projection_is_seen_where_its_table_is(broker: MemoryBroker) -> None:
    await say(broker, TOPICS.events, b"{}")

    async def stored(topics: Collection[str]) -> Mapping[tuple[str, int], int]:
        return {(TOPICS.events, number): 0 for number in range(6)}

    lookout = Lookout(broker, TOPICS)
    sight = await lookout.see(datetime.now(UTC), 0, 0, stored)

    assert sight.flows["projection"].behind == 1
    await lookout.close()
