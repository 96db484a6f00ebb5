"""The scheduler killed inside a transaction, and Kafka killed under the scheduler: who waits how long, what is lost."""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path

import pytest
from muster.contracts.schedule import Misfire, Schedule
from muster.ports import Record
from muster_local import processes
from muster_local.home import cache
from muster_local.kafka import KafkaOptions, KafkaServer, start_kafka

from .conftest import Delays, Schedulers, installed, task_id_of

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


async def test_kafka_killed_under_the_scheduler_loses_doubles_and_advances_nothing(
    tmp_path: Path, schedulers: Schedulers
) -> None:
    kafka = plug_in(tmp_path)
    try:
        async with installed(kafka.bootstrap, "outage.") as delays:
            since = datetime.now(UTC)
            await delays.write_schedule(
                Schedule(name="tick", task_type="noop", service="media", every=1.0, misfire=Misfire.ALL, since=since)
            )
            scheduler = await schedulers.start(kafka.bootstrap, "outage.")
            for number in range(300):
                await delays.send(f"t{number}", number / 30)
            await delays.written()
            await all_of(delays, ["t0", "t30"])  # it works

            await asyncio.to_thread(pull, kafka)
            kafka = await asyncio.to_thread(plug_in, tmp_path, kafka.port)
            found = await all_of(delays, delays.due)
            # The same process all along.
            assert await schedulers.end(scheduler, signal.SIGTERM) == 0
    finally:
        kafka.stop()

    ids = Counter(task_id_of(record) for record, _ in found)
    late = [arrived - delays.due[name] for record, arrived in found if (name := task_id_of(record)) in delays.due]
    assert max(ids.values()) == 1
    assert len(ids) > len(delays.due), "no schedule fired"
    assert min(late) >= 0


def plug_in(folder: Path, port: int | None = None) -> KafkaServer:
    """A broker of this test alone; with its port, the same one again."""
    return start_kafka(folder, cache(), KafkaOptions(port=port, heap_megabytes=384, quick_compiler=True))


def pull(kafka: KafkaServer) -> None:
    """As a power cut would, but for the disk."""
    process = kafka.identity.process()
    assert process is not None
    process.kill()
    assert processes.wait(kafka.identity, 20)
