"""Two processes of the scheduler on a real Kafka, killed in turn: what they fire and move is there once, not early."""

from __future__ import annotations

import asyncio
import random
import signal
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from muster.client.reading import read_to_end
from muster.contracts.schedule import Misfire, Schedule, fire_id
from muster.ports import Record

from .conftest import Delays, Schedulers, task_id_of

pytestmark = [pytest.mark.kafka, pytest.mark.e2e]

DELAYED = 1_500
SECOND = timedelta(seconds=1)


def instant_of(record: Record) -> datetime | None:
    raw = dict(record.headers).get("task-instant")
    return datetime.fromisoformat(raw.decode()) if raw else None


def fires(found: list[tuple[Record, float]]) -> list[datetime]:
    instants = (instant_of(record) for record, _ in found)
    return sorted(instant for instant in instants if instant is not None)


async def test_two_schedulers_killed_in_turn_skip_no_instant_and_double_nothing(
    delays: Delays, kafka: str, topic_prefix: str, schedulers: Schedulers
) -> None:
    since = datetime.now(UTC).replace(microsecond=0)
    await delays.write_schedule(
        Schedule(name="tick", task_type="noop", service="media", every=1.0, misfire=Misfire.ALL, since=since)
    )
    rng = random.Random(11)
    processes = [await schedulers.start(kafka, topic_prefix) for _ in range(2)]
    for number in range(DELAYED):
        await delays.send(f"t{number}", rng.uniform(0, 15))
    await delays.written()

    for _ in range(3):
        await asyncio.sleep(rng.uniform(0.5, 1.5))  # the kill falls somewhere into the work
        await schedulers.end(processes.pop(0), signal.SIGKILL)
        processes.append(await schedulers.start(kafka, topic_prefix))
    seconds = int((datetime.now(UTC) - since) / SECOND) + 2
    expected = {since + number * SECOND for number in range(1, seconds)}

    def all_there(found: list[tuple[Record, float]]) -> bool:
        return (
            expected <= {*fires(found)} and len({task_id_of(record) for record, _ in found} & {*delays.due}) >= DELAYED
        )

    found = await delays.arrivals(all_there, timeout=90)
    assert all_there(found)
    for process in processes:
        assert await schedulers.end(process, signal.SIGTERM) == 0
    # Nobody writes any more: whatever was fired or moved twice is here.
    again = [task_id_of(record) async for record in read_to_end(delays.broker, delays.lane, timeout=60)]

    assert max(Counter(again).values()) == 1
    assert len({task_id_of(record) for record, _ in found}) == len(found)
    assert {task_id_of(record) for record, _ in found} == {
        *delays.due, *(fire_id("tick", instant) for instant in fires(found)),
    }  # fmt: skip
    for record, _ in found:
        due = instant_of(record) or datetime.fromtimestamp(delays.due[task_id_of(record)], UTC)
        assert datetime.fromtimestamp(record.timestamp_ms / 1000, UTC) > due - timedelta(milliseconds=1)
