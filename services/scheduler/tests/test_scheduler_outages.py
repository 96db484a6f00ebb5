"""The scheduler killed inside a transaction: who waits, and what became of its move. Kafka killed: wheel_bench.py."""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter
from collections.abc import Collection
from pathlib import Path

import pytest
from muster.ports import Record

from .conftest import Delays, Schedulers, task_id_of

pytestmark = [pytest.mark.kafka, pytest.mark.e2e]

DYING = str(Path(__file__).with_name("dying_scheduler.py"))
#: Promised are 8 s, which tests/load/wheel_bench.py counts; here an end is only told from none, on any machine.
SOME_END_SECONDS = 60.0


async def all_of(delays: Delays, ids: Collection[str]) -> list[tuple[Record, float]]:
    """What lies in the lane when all of these tasks do."""
    found = await delays.arrivals(lambda found: {*ids} <= {task_id_of(record) for record, _ in found}, SOME_END_SECONDS)
    assert {*ids} <= {task_id_of(record) for record, _ in found}
    return found


async def test_a_mover_killed_inside_a_transaction_holds_nobody_up_for_ever_and_its_move_happens_once(
    delays: Delays, kafka: str, topic_prefix: str, schedulers: Schedulers
) -> None:
    dying = await schedulers.start(kafka, topic_prefix, DYING, delays.lane, "3")
    for number in range(40):
        await delays.send(f"t{number}", 0.5 + number / 20)
    await delays.written()
    async with asyncio.timeout(SOME_END_SECONDS):
        await dying.wait()
    assert dying.returncode == -signal.SIGKILL

    # Into every partition of the lane, so that some lie behind the open transaction.
    probes = [f"probe{number}" for number in range(40)]
    began = time.monotonic()
    for probe in probes:
        await delays.send_plain(probe)
    await delays.written()
    await all_of(delays, probes)
    print(f"\nheld up for {time.monotonic() - began:.1f} s")  # noqa: T201

    successor = await schedulers.start(kafka, topic_prefix)
    found = await all_of(delays, [*probes, *delays.due])
    assert await schedulers.end(successor, signal.SIGTERM) == 0
    assert Counter(task_id_of(record) for record, _ in found) == dict.fromkeys([*probes, *delays.due], 1)
