"""Muster's own stack: the tracker with its projection and one worker process. Starts it, feeds it, stops it."""

from __future__ import annotations

import asyncio
import os
import pstats
import subprocess
import sys
import time
from pathlib import Path

from benchmark.revision import OURS, Revision
from benchmark.stack import BenchError, Table, alive, producer, run_until
from muster.adapters.kafka import KafkaBroker
from muster.contracts.topics import Topics
from muster.ports import TopicPartition
from muster.settings import KafkaSettings
from muster_local import processes
from muster_local.kafka import KafkaServer
from muster_local.ports import free_port, wait_until
from muster_local.postgres import PostgresServer
from muster_local.processes import ProcessIdentity

_COUNT = "SELECT count(*) FROM muster.tasks WHERE state = 'SUCCESS'"
#: What the projection reads of one successful task: its record in the lane, STARTED and SUCCESS.
RECORDS_PER_TASK = 3
_READY_SECONDS = 30.0
_PROFILE_LINES = 25


class MusterStack:
    """Everything a task needs; the scheduler and the media service have no part in a no-op task.

    Several revisions share one Kafka, each under a prefix of its own, so that all meet a broker that is as warm.
    """

    def __init__(
        self, folder: Path, postgres: PostgresServer, kafka: KafkaServer, slots: int, *, revision: Revision = OURS,
        profile: str | None = None,
    ) -> None:  # fmt: skip
        self.name = revision.name
        self._revision = revision
        self._folder = folder
        self._profile = profile
        word = revision.name.replace(" ", "_")
        self._topics = Topics(f"{word}.")
        self._kafka = kafka
        self._broker = KafkaBroker(KafkaSettings(bootstrap_servers=kafka.bootstrap))
        dsn = postgres.create_database(word)
        self._env = self._environment(dsn, slots)
        self._run("-m", "muster.cli", "topics", "apply")
        self._run("-m", "tracker_service", "migrate")
        self._table = Table(dsn, _COUNT)
        self.start_tracker()
        self._worker = self._start("worker", str(revision.load / "noop_worker.py"))
        if not wait_until(lambda: asyncio.run(self._announced()), timeout_seconds=_READY_SECONDS):
            self.check()
            raise BenchError(f"the worker did not announce itself within {_READY_SECONDS:g} s")

    def start_tracker(self) -> None:
        self._tracker = self._start("tracker", "-m", "tracker_service")

    def stop_tracker(self) -> None:
        processes.stop(self._tracker)

    def produce(self, mode: str, count: int) -> subprocess.Popen[str]:
        return producer(self._revision.load / "muster_producer.py", mode, count, self._env)

    def succeeded(self) -> int:
        return self._table.count()

    @property
    def parts(self) -> dict[str, ProcessIdentity]:
        own = {f"{self.name} worker": self._worker, f"{self.name} tracker": self._tracker}
        return {**own, "kafka": self._kafka.identity}

    def check(self) -> None:
        alive("the worker", self._worker, self._log("worker"))
        alive("the tracker", self._tracker, self._log("tracker"))
        alive("Kafka", self._kafka.identity, self._kafka.log)

    def stop(self) -> None:
        self._table.close()
        for part in (self._worker, self._tracker):
            processes.stop(part)

    def show_profile(self) -> None:
        """Print where the profiled process spent its time; call after `stop`."""
        if self._profile:
            stats = pstats.Stats(str(self._profile_file(self._profile)), stream=sys.stderr)
            stats.sort_stats("tottime").print_stats(_PROFILE_LINES)

    def project_backlog(self, count: int) -> float | None:
        """Records per second that the projection folds when those of `count` tasks lie ready; the tracker is restarted.

        None when it was over with the first look.
        """
        self.stop_tracker()
        before = asyncio.run(self._written())
        self.produce("throughput", count).communicate()
        done = lambda: asyncio.run(self._written()) >= before + RECORDS_PER_TASK * count  # noqa: E731
        if not wait_until(done, timeout_seconds=300, pause_seconds=0.2):
            raise BenchError("the worker did not finish the backlog for the projection")
        first = self.succeeded()
        self.start_tracker()
        # The clock starts with the first row, not with Python's imports.
        wait_until(lambda: self.succeeded() > first, timeout_seconds=60, pause_seconds=0.005)
        began, begun = time.time(), self.succeeded()
        if begun >= first + count:
            return None
        finished = run_until(self, first + count, lambda _: None)
        return RECORDS_PER_TASK * (first + count - begun) / (finished - began)

    def _start(self, name: str, *command: str) -> ProcessIdentity:
        profile = ["-m", "cProfile", "-o", str(self._profile_file(name))] if name == self._profile else []
        return processes.start([sys.executable, *profile, *command], log=self._log(name), env=self._env)

    def _environment(self, dsn: str, slots: int) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("MUSTER_", "KAFKA_"))}
        return {
            **kept,
            **self._revision.env,
            "KAFKA_BOOTSTRAP_SERVERS": self._kafka.bootstrap,
            "DATABASE_URL": dsn,
            "MUSTER_TOPIC_PREFIX": self._topics.prefix,
            "MUSTER_SLOTS": str(slots),
            "MUSTER_LOG_LEVEL": "warning",
            "TRACKER_HTTP_HOST": "127.0.0.1",
            "TRACKER_HTTP_PORT": str(free_port()),
        }

    def _log(self, name: str) -> Path:
        return self._folder / f"{self._topics.prefix}{name}.log"

    def _profile_file(self, name: str) -> Path:
        return self._folder / f"{name}.profile"

    def _run(self, *command: str) -> None:
        done = subprocess.run([sys.executable, *command], env=self._env, capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode:
            raise BenchError(f"{' '.join(command)} failed: {(done.stderr or done.stdout)[-1000:]}")

    async def _announced(self) -> bool:
        return await self._end_offsets([TopicPartition(self._topics.catalog, 0)]) > 0

    async def _written(self) -> int:
        """Records in the default lane and in the events so far."""
        topics = (self._topics.lane("media"), self._topics.events)
        return await self._end_offsets([TopicPartition(topic, number) for topic in topics for number in range(6)])

    async def _end_offsets(self, partitions: list[TopicPartition]) -> int:
        consumer = self._broker.consumer()
        consumer.assign(partitions)
        await consumer.start()
        ends = await consumer.end_offsets(partitions)
        await consumer.stop()
        return sum(ends.values())
