"""The scheduler as a process of its own, killed again and again while it moves: nothing lost, nothing doubled."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from asyncio.subprocess import Process

import pytest

from .conftest import Delays, task_id_of

pytestmark = [pytest.mark.kafka, pytest.mark.e2e]

COUNT = 1_500


async def start(kafka: str, prefix: str) -> Process:
    env = {**os.environ, "KAFKA_BOOTSTRAP_SERVERS": kafka, "MUSTER_TOPIC_PREFIX": prefix}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "scheduler_service", env=env, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    async with asyncio.timeout(30):
        while b"membership.assigned" not in await process.stdout.readline():
            assert process.returncode is None
    return process


async def end(process: Process, number: signal.Signals) -> int:
    process.send_signal(number)
    async with asyncio.timeout(20):
        await process.communicate()
    assert process.returncode is not None
    return process.returncode


async def test_a_scheduler_killed_in_the_middle_loses_nothing_and_doubles_nothing(
    delays: Delays, kafka: str, topic_prefix: str
) -> None:
    process = await start(kafka, topic_prefix)
    rng = random.Random(7)
    reading = asyncio.create_task(delays.arrivals(lambda found: len(found) >= COUNT, timeout=90))
    for number in range(COUNT):
        await delays.send(f"t{number}", rng.uniform(0, 12))
    await delays.written()

    for _ in range(3):
        await asyncio.sleep(rng.uniform(1.0, 2.0))  # the kill falls somewhere into the work
        await end(process, signal.SIGKILL)
        process = await start(kafka, topic_prefix)
    found = await reading
    # Whatever was moved twice would follow at once.
    extra = await delays.arrivals(lambda found: len(found) > COUNT, timeout=3)
    code = await end(process, signal.SIGTERM)

    assert code == 0
    assert sorted(task_id_of(record) for record, _ in found) == sorted(delays.due)
    assert len(extra) == COUNT
    assert min(arrived - delays.due[task_id_of(record)] for record, arrived in found) >= 0
