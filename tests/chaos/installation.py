"""A real Kafka, PostgreSQL, tracker, scheduler and workers, any of which can be killed and started again.

Who is killed when is monkey.py's.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import asyncpg
from muster.adapters.kafka import KafkaBroker
from muster.adapters.postgres import EffectStore, create_pool
from muster.contracts.topics import Topics
from muster.settings import KafkaSettings
from muster_local import processes
from muster_local.home import cache
from muster_local.kafka import KafkaOptions, start_kafka
from muster_local.ports import LOOPBACK, free_port
from muster_local.postgres import start_postgres
from muster_local.processes import ProcessIdentity

WORKER = Path(__file__).with_name("chaos_worker.py")
#: Short, so that a death costs seconds, and long enough for two busy cores.
_TIMES = {
    "MUSTER_BEAT_SECONDS": "0.5", "MUSTER_FENCE_SECONDS": "4", "MUSTER_LEASE_SECONDS": "6",
    "MUSTER_GRACE_SECONDS": "0.5",
}  # fmt: skip
_KEPT = ("PATH", "HOME", "TMPDIR", "LANG", "VIRTUAL_ENV")
#: A stopping process that takes longer is killed.
_STOP_SECONDS = 20.0
_TABLE = "CREATE TABLE chaos_effects (number serial PRIMARY KEY, task_id text NOT NULL, attempt int NOT NULL)"


@dataclass
class Program:
    """One process of the installation, whichever it is at the moment."""

    name: str
    command: tuple[str, ...]
    env: Mapping[str, str]
    log: Path
    identity: ProcessIdentity | None = None

    def start(self) -> None:
        self.identity = processes.start(self.command, log=self.log, env=self.env)

    def end(self, number: signal.Signals) -> None:
        """Send the signal and return when the process is gone."""
        process = self.identity.process() if self.identity else None
        if process is None or self.identity is None:
            return
        process.send_signal(number)
        if not processes.wait(self.identity, _STOP_SECONDS):
            process.kill()
            processes.wait(self.identity, _STOP_SECONDS)

    @property
    def running(self) -> bool:
        return self.identity is not None and self.identity.is_alive()


class Installation:
    """Everything a task needs."""

    def __init__(self, folder: Path, workers: int, slots: int) -> None:
        self.folder, self.slots = folder, slots
        self.topics = Topics()
        self.runs = folder / "runs"
        self.runs.mkdir()
        self._postgres = start_postgres(folder / "postgres")
        try:
            self.kafka = start_kafka(folder / "kafka", cache())
        except BaseException:
            self._postgres.stop()
            raise
        self.dsn = self._postgres.create_database("chaos")
        self._env = self._environment()
        self.tracker = self._program("tracker", "-m", "tracker_service")
        self.scheduler = self._program("scheduler", "-m", "scheduler_service")
        self.workers = [self._program(f"worker-{number}", str(WORKER)) for number in range(workers)]

    @property
    def programs(self) -> list[Program]:
        return [self.tracker, self.scheduler, *self.workers]

    def broker(self) -> KafkaBroker:
        return KafkaBroker(KafkaSettings(bootstrap_servers=self.kafka.bootstrap))

    async def prepare(self) -> None:
        """Topics and tables, then the services."""
        admin = self.broker().admin()
        await admin.start()
        await admin.apply(self.topics.specs())
        await admin.stop()
        pool = await create_pool(self.dsn)
        await EffectStore(pool).ensure()
        await pool.execute(_TABLE)
        await pool.close()
        migration = Program("migrate", (sys.executable, "-m", "tracker_service", "migrate"), self._env, self._log("m"))
        migration.start()
        assert migration.identity is not None
        await asyncio.to_thread(processes.wait, migration.identity, 60.0)
        for program in self.programs:
            program.start()

    def has_run_tasks(self, worker: Program) -> bool:
        """Whether its present process has begun any."""
        pid = worker.identity.pid if worker.identity else 0
        return any(log.stat().st_size for log in self.runs.glob(f"{pid}-*.log"))

    def restart_broker(self) -> float:
        """Kill Kafka and start it on its old port and data; returns how many seconds it was away."""
        began = time.monotonic()
        process = self.kafka.identity.process()
        if process is not None:
            process.kill()
            processes.wait(self.kafka.identity, _STOP_SECONDS)
        self.kafka = start_kafka(self.folder / "kafka", cache(), KafkaOptions(self.kafka.port))
        return time.monotonic() - began

    async def connect(self) -> asyncpg.Connection[asyncpg.Record]:
        return await asyncpg.connect(self.dsn)

    def stop(self) -> None:
        for program in (*self.workers, self.scheduler, self.tracker):
            if program.identity is not None:
                processes.stop(program.identity, timeout_seconds=10)
        self.kafka.stop()
        self._postgres.stop()

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def _program(self, name: str, *arguments: str) -> Program:
        return Program(name, (sys.executable, *arguments), self._env, self._log(name))

    def _environment(self) -> dict[str, str]:
        return {
            **{name: os.environ[name] for name in _KEPT if name in os.environ},
            **_TIMES,
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka.bootstrap,
            "DATABASE_URL": self.dsn,
            "DJANGO_SECRET_KEY": secrets.token_hex(32),
            "MUSTER_SLOTS": str(self.slots),
            "TRACKER_HTTP_HOST": LOOPBACK,
            "TRACKER_HTTP_PORT": str(free_port()),
            "CHAOS_RUNS": str(self.runs),
        }
