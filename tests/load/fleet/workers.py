"""A Kafka of its own and some worker processes that can be stopped and started. What they run is fleet_worker.py."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
from fleet.runs import Run, parse_runs
from muster.adapters.kafka import KafkaBroker
from muster.contracts.envelope import TaskRecord
from muster.contracts.events import decode_heartbeat
from muster.contracts.topics import Topics
from muster.ports import Producer, TopicPartition
from muster.settings import KafkaSettings
from muster_local import processes
from muster_local.home import cache
from muster_local.kafka import start_kafka
from muster_local.processes import ProcessIdentity

WORKER = Path(__file__).resolve().parents[1] / "fleet_worker.py"
SERVICE = "media"
_KEPT = ("PATH", "HOME", "TMPDIR", "LANG", "VIRTUAL_ENV")
LOOK_SECONDS = 0.05
# Partitions without a leader yet, connections to a worker that was stopped: part of the game here.
logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
JOIN_SECONDS = 60.0
LANE_PARTITIONS = 18


class FleetError(Exception):
    """The measurement cannot go on; the message says why."""


class Fleet:
    """Workers of one service. Each measurement counts its own tasks only."""

    def __init__(self, folder: Path, *, slots: int, handover: bool = True, grace_seconds: float = 60.0) -> None:
        self.topics = Topics()
        self.slots = slots
        # Kafka does not run as root; its own account must be able to enter.
        folder.chmod(0o755)
        self._folder = folder
        self._runs = folder / "runs"
        self._runs.mkdir()
        self._kafka = start_kafka(folder / "kafka", cache())
        self._env = {
            **{name: os.environ[name] for name in _KEPT if name in os.environ},
            "KAFKA_BOOTSTRAP_SERVERS": self._kafka.bootstrap,
            "MUSTER_SLOTS": str(slots),
            "MUSTER_PROCESSES": "1",
            "MUSTER_GRACE_SECONDS": str(grace_seconds),
            "FLEET_RUNS": str(self._runs),
            "FLEET_HANDOVER": "1" if handover else "0",
        }
        self._broker = KafkaBroker(KafkaSettings(bootstrap_servers=self._kafka.bootstrap))
        self._producer: Producer = self._broker.producer()
        self._admin = self._broker.admin()
        self._started = 0
        self.workers: list[ProcessIdentity] = []
        self.submitted: dict[str, float] = {}

    async def __aenter__(self) -> Self:
        await self._admin.start()
        await self._admin.apply(self.topics.specs())
        await self._producer.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._producer.stop()
        await self._admin.stop()
        for worker in self.workers:
            processes.stop(worker, timeout_seconds=1)
        self._kafka.stop()

    def start_worker(self) -> ProcessIdentity:
        self._started += 1
        log = self._folder / f"worker-{self._started}.log"
        worker = processes.start([sys.executable, str(WORKER)], log=log, env=self._env)
        self.workers.append(worker)
        return worker

    async def replace(self, worker: ProcessIdentity, patience_seconds: float) -> None:
        """What a rolling deployment does: the successor is up before the old one is asked to end, which it may take
        its time over."""
        up = self._up()
        self.start_worker()
        await self.until(lambda: self._up() > up, "the new worker is up", JOIN_SECONDS)
        process = worker.process()
        if process is not None:
            process.send_signal(signal.SIGTERM)
        await self.until(lambda: not worker.is_alive(), "the old worker has ended", patience_seconds)
        self.workers.remove(worker)

    def _up(self) -> int:
        """Workers that have ever said so."""
        return sum('"worker.up"' in log.read_text() for log in self._folder.glob("worker-*.log"))

    async def submit(self, seconds: float, partition: int | None = None) -> str:
        """One task that takes so long; no partition: wherever its key leads. Returns its id."""
        task_id = os.urandom(16).hex()
        task = TaskRecord(task_id=task_id, task_type="hold", body=msgspec.json.encode({"seconds": seconds}))
        self.submitted[task_id] = time.time()
        await (
            await self._producer.send(
                self.topics.lane(SERVICE), task.body, key=task.key, headers=task.headers(), partition=partition
            )
        )
        return task_id

    def runs(self) -> list[Run]:
        """Every run so far."""
        lines = [log.read_text().splitlines() for log in sorted(self._runs.glob("*.log"))]
        return [run for log in lines for run in parse_runs(log)]

    def begun(self) -> int:
        return len({run.task_id for run in self.runs()})

    async def settled(self, workers: int) -> None:
        """Return when so many workers tell of partitions: nobody is about to join any more."""
        reader = self._broker.consumer()
        reader.assign([TopicPartition(self.topics.workers, 0)])
        await reader.start()
        owners: dict[str, int] = {}
        deadline = time.monotonic() + JOIN_SECONDS
        while len(owners) < workers or len(set(owners.values())) > 2 or sum(owners.values()) != LANE_PARTITIONS:
            for record in await reader.poll(timeout=0.2):
                beat = decode_heartbeat(record.value or b"")
                owners[beat.worker] = len(beat.partitions)
            if time.monotonic() > deadline:
                raise FleetError(f"{workers} workers did not share the partitions within {JOIN_SECONDS:g} s: {owners}")
        await reader.stop()

    async def all_ended(self, patience_seconds: float) -> None:
        """Return when every task that was submitted has a run that ended."""

        def done() -> bool:
            return {run.task_id for run in self.runs() if run.ended is not None} >= self.submitted.keys()

        await self.until(done, "all tasks have ended", patience_seconds)

    async def until(self, condition: Callable[[], bool], what: str, patience_seconds: float) -> None:
        """Raises FleetError when it takes longer than that."""
        deadline = time.monotonic() + patience_seconds
        while not condition():
            if time.monotonic() > deadline:
                raise FleetError(f"waited {patience_seconds:g} s until {what}; logs are in {self._folder}")
            await asyncio.sleep(LOOK_SECONDS)

    async def records(self, topic: str, partitions: Sequence[int] = range(6)) -> int:
        """How many records were ever written to a topic."""
        consumer = self._broker.consumer()
        owned = [TopicPartition(topic, number) for number in partitions]
        consumer.assign(owned)
        await consumer.start()
        ends = await consumer.end_offsets(owned)
        await consumer.stop()
        return sum(ends.values())
