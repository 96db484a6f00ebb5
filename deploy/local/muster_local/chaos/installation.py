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
from muster_local.chaos.plan import Plan
from muster_local.errors import LocalError
from muster_local.home import cache
from muster_local.kafka import KafkaOptions, KafkaServer, start_kafka
from muster_local.ports import LOOPBACK, free_port, wait_until
from muster_local.postgres import start_postgres
from muster_local.processes import ProcessIdentity

_WORKER = "muster_local.chaos.worker"
_KEPT = ("PATH", "HOME", "TMPDIR", "LANG", "VIRTUAL_ENV")
#: A stopping process that takes longer is killed.
_STOP_SECONDS = 20.0
#: Kafka is killed for the sake of its clients: how long it waits for its own old session is not the point.
_SESSION_SECONDS = 4.0
#: What each kind logs when it is at work.
_AT_WORK = {"worker": b'"worker.up"', "tracker": b'"tracker.up"', "scheduler": b'"membership.assigned"'}
_UP_SECONDS = 60.0
_TABLE = "CREATE TABLE chaos_effects (number serial PRIMARY KEY, task_id text NOT NULL, attempt int NOT NULL)"


@dataclass
class Program:
    """One process of the installation, whichever it is at the moment."""

    kind: str
    command: tuple[str, ...]
    env: Mapping[str, str]
    log: Path
    identity: ProcessIdentity | None = None
    _log_begins: int = 0

    def start(self) -> None:
        self._log_begins = self.log.stat().st_size if self.log.exists() else 0
        self.identity = processes.start(self.command, log=self.log, env=self.env)

    def end(self, number: signal.Signals) -> None:
        """Send the signal and return when the process is gone."""
        if self.identity is not None:
            _end(self.identity, number)

    @property
    def running(self) -> bool:
        return self.identity is not None and self.identity.is_alive()

    @property
    def exit_code(self) -> int | None:
        return processes.exit_code(self.identity) if self.identity else None

    @property
    def was_up(self) -> bool:
        """Whether the present process has said that it is at work."""
        with self.log.open("rb") as log:
            log.seek(self._log_begins)
            return _AT_WORK[self.kind] in log.read()


class Installation:
    """Everything a task needs."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        self.folder = folder
        self.topics = Topics()
        self.runs = folder / "runs"
        self.runs.mkdir()
        self._postgres = start_postgres(folder / "postgres")
        try:
            self.kafka = self._start_kafka()
        except BaseException:
            self._postgres.stop()
            raise
        self.dsn = self._postgres.create_database("chaos")
        self._env = self._environment(plan)
        self.tracker = self._program("tracker", "tracker", "tracker_service")
        self.scheduler = self._program("scheduler", "scheduler", "scheduler_service")
        self.workers = [self._program("worker", f"worker-{number}", _WORKER) for number in range(plan.workers)]
        self._guest = self._program("worker", "guest", _WORKER)
        self._guest_is_in = False

    @property
    def programs(self) -> list[Program]:
        """All that should run now."""
        return [self.tracker, self.scheduler, *self.workers, *([self._guest] if self._guest_is_in else [])]

    def broker(self) -> KafkaBroker:
        return KafkaBroker(KafkaSettings(bootstrap_servers=self.kafka.bootstrap))

    async def prepare(self) -> None:
        """Topics and tables, then the services; returns when all are at work.

        Raises:
            LocalError: one of them is not.
        """
        admin = self.broker().admin()
        await admin.start()
        await admin.apply(self.topics.specs())
        await admin.stop()
        pool = await create_pool(self.dsn)
        await EffectStore(pool).ensure()
        await pool.execute(_TABLE)
        await pool.close()
        await asyncio.to_thread(self._migrate)
        for program in self.programs:
            program.start()
        await asyncio.to_thread(self._wait_until_up)

    def has_run_tasks(self, worker: Program) -> bool:
        """Whether its present process has begun any."""
        pid = worker.identity.pid if worker.identity else 0
        return any(log.stat().st_size for log in self.runs.glob(f"{pid}-*.log"))

    def move(self) -> str:
        """Let a further worker join the group, or the one that joined leave it; returns which: all partitions move."""
        if self._guest_is_in:
            self._guest_is_in = False
            self._guest.end(signal.SIGTERM)
            return "left"
        self._guest.start()
        self._guest_is_in = True
        return "joined"

    def restart_broker(self, number: signal.Signals) -> float:
        """End Kafka and start it on its old port and data; returns how many seconds it was away.

        Raises:
            LocalError: it did not come back where its clients look for it.
        """
        began, port = time.monotonic(), self.kafka.port
        _end(self.kafka.identity, number)
        self.kafka = self._start_kafka(port)
        if self.kafka.port != port:
            raise LocalError(f"Kafka could not have its port {port} again: somebody else took it. Try again.")
        return time.monotonic() - began

    async def connect(self) -> asyncpg.Connection[asyncpg.Record]:
        return await asyncpg.connect(self.dsn)

    def stop(self) -> None:
        """End everything at once: the verdict is out, and nobody waits for what they still do."""
        for program in (*self.workers, self._guest, self.scheduler, self.tracker):
            if program.identity is not None:
                processes.stop(program.identity, first=signal.SIGKILL)
        processes.stop(self.kafka.identity, first=signal.SIGKILL)
        self._postgres.stop()

    def _wait_until_up(self) -> None:
        wait_until(lambda: all(p.was_up or not p.running for p in self.programs), timeout_seconds=_UP_SECONDS)
        for program in self.programs:
            if not program.was_up:
                raise LocalError(f"A {program.kind} did not come up:\n{processes.tail(program.log)}")

    def _start_kafka(self, port: int | None = None) -> KafkaServer:
        return start_kafka(self.folder / "kafka", cache(), KafkaOptions(port, session_seconds=_SESSION_SECONDS))

    def _migrate(self) -> None:
        migration = self._program("tracker", "migration", "tracker_service", "migrate")
        migration.start()
        if migration.identity is None or not processes.wait(migration.identity, 60.0) or migration.exit_code:
            raise LocalError(f"The tables could not be made:\n{processes.tail(migration.log)}")

    def _program(self, kind: str, name: str, *module: str) -> Program:
        return Program(kind, (sys.executable, "-m", *module), self._env, self.folder / f"{name}.log")

    def _environment(self, plan: Plan) -> dict[str, str]:
        return {
            **{name: os.environ[name] for name in _KEPT if name in os.environ},
            **plan.times(),
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka.bootstrap,
            "DATABASE_URL": self.dsn,
            "DJANGO_SECRET_KEY": secrets.token_hex(32),
            "MUSTER_SLOTS": str(plan.slots),
            "MUSTER_PROCESSES": "1",
            "TRACKER_HTTP_HOST": LOOPBACK,
            "TRACKER_HTTP_PORT": str(free_port()),
            "CHAOS_RUNS": str(self.runs),
        }


def _end(identity: ProcessIdentity, number: signal.Signals) -> None:
    process = identity.process()
    if process is None:
        return
    process.send_signal(number)
    if not processes.wait(identity, _STOP_SECONDS):
        process.kill()
        processes.wait(identity, _STOP_SECONDS)
