"""Muster's services as processes on a real Kafka and PostgreSQL. Asserts nothing; what tasks do is the stories'."""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import rotc.demo.load
import rotc.migrate
from muster.adapters.kafka import KafkaBroker
from muster.contracts.topics import Topics
from muster.settings import KafkaSettings
from muster_local.parts import ServicePart
from muster_local.ports import LOOPBACK, free_port
from rotc.connection import connected
from tracker_service import schema

from .ledger import Ledger
from .program import Program

PRACTICE = Path(__file__).with_name("practice_worker.py")
#: Ids 1 to 60.
CADETS = 60
#: Short, so that a death is noticed within a test's patience, and long enough for two busy cores. In seconds.
_TIMES = {"MUSTER_BEAT_SECONDS": "0.4", "MUSTER_FENCE_SECONDS": "6", "MUSTER_LEASE_SECONDS": "7.5"}
#: What else the person's shell says must not reach the services.
_KEPT = ("PATH", "HOME", "TMPDIR", "LANG", "VIRTUAL_ENV")


@dataclass
class System:
    """One installation: topics under a prefix, a database, a storage server, and the programs started on them."""

    folder: Path
    kafka: str
    topics: Topics
    dsn: str = field(repr=False)
    secret: str = field(default_factory=lambda: secrets.token_hex(32), repr=False)
    #: What every program is told beside its addresses; read when it is made.
    environment: dict[str, str] = field(default_factory=dict, repr=False)
    programs: list[Program] = field(default_factory=list)
    api_port: int = field(default_factory=free_port)
    storage_port: int = field(default_factory=free_port)
    smtp_port: int = field(default_factory=free_port)
    mail_port: int = field(default_factory=free_port)

    async def prepare(self) -> None:
        """Topics, tables, and the demo's people."""
        admin = KafkaBroker(KafkaSettings(bootstrap_servers=self.kafka)).admin()
        await admin.start()
        await admin.apply(self.topics.specs())
        await admin.stop()
        async with connected(self.dsn) as connection:
            await rotc.migrate.migrate(connection)
            await schema.migrate(connection)
            await rotc.demo.load.load(connection, seed=1, cadets=CADETS)

    def query(self, sql: str, *arguments: object) -> Any:
        """One value from the database."""

        async def fetch() -> Any:
            async with connected(self.dsn) as connection:
                return await connection.fetchval(sql, *arguments)

        return asyncio.run(fetch())

    @cached_property
    def tracker(self) -> Program:
        return self._program("tracker", "-m", "tracker_service")

    def another_tracker(self, api_port: int) -> Program:
        """One more, with an API of its own."""
        return self._program("tracker", "-m", "tracker_service", environment={"TRACKER_HTTP_PORT": str(api_port)})

    @cached_property
    def scheduler(self) -> Program:
        return self._program("scheduler", "-m", "scheduler_service")

    def media(self, **environment: str) -> Program:
        return self._program("media", "-m", "media_service", environment=environment)

    def reports(self, **environment: str) -> Program:
        keys = {"CERTIFICATE_KEYS": "of-the-tests-" + "k" * 32}
        return self._program("reports", "-m", "reports_service", environment=keys | environment)

    def ocr(self, **environment: str) -> Program:
        hosts = {"OCR_ALLOWED_HOSTS": LOOPBACK, "OCR_ALLOW_PRIVATE_HOSTS": "true"}
        return self._program("ocr", "-m", "ocr_service", environment=hosts | environment)

    def importer(self, **environment: str) -> Program:
        return self._program("import", "-m", "import_service", environment=environment)

    def notify(self, **environment: str) -> Program:
        """Mails through `mail`."""
        mail = {"EMAIL_HOST": LOOPBACK, "EMAIL_PORT": str(self.smtp_port), "EMAIL_USE_TLS": "false"}
        return self._program("notify", "-m", "notify_service", environment=mail | environment)

    @cached_property
    def mail(self) -> Program:
        """The mail server that keeps what it gets."""
        ports = ("--smtp-port", str(self.smtp_port), "--port", str(self.mail_port))
        return self._program("mail", "-m", "muster_local.mailbox", *ports, probe=self.mail_port)

    def practice(self, **environment: str) -> Program:
        return self._program("practice", str(PRACTICE), environment=environment)

    @cached_property
    def storage(self) -> Program:
        """The server that speaks like Cloudinary."""
        arguments = ("--port", str(self.storage_port), "--folder", str(self.uploads))
        return self._program("storage", "-m", "muster_local.cloudinary", *arguments, probe=self.storage_port)

    @property
    def uploads(self) -> Path:
        return self.folder / "uploads"

    @property
    def ledger(self) -> Ledger:
        """Where the practice tasks note their runs."""
        return Ledger(self.folder / "ledger")

    def stop(self) -> None:
        """End everything, the last started first."""
        for program in reversed(self.programs):
            program.stop()

    def _program(
        self, name: str, *arguments: str, probe: int | None = None, environment: Mapping[str, str] | None = None
    ) -> Program:
        probe = probe or free_port()
        log = self.folder / f"{len(self.programs) + 1}-{name}.log"
        env = self._environment() | {"MUSTER_HTTP_PORT": str(probe)} | dict(environment or {})
        program = Program(ServicePart(name, (sys.executable, *arguments), env, log, probe))
        self.programs.append(program)
        return program

    def _environment(self) -> dict[str, str]:
        return {
            **{name: os.environ[name] for name in _KEPT if name in os.environ},
            **_TIMES,
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka,
            "MUSTER_TOPIC_PREFIX": self.topics.prefix,
            "MUSTER_HTTP_HOST": LOOPBACK,
            "DATABASE_URL": self.dsn,
            "DJANGO_SECRET_KEY": self.secret,
            "TRACKER_HTTP_HOST": LOOPBACK,
            "TRACKER_HTTP_PORT": str(self.api_port),
            "TRACKER_RATE_LIMIT": "100000/second",
            "CLOUDINARY_CLOUD_NAME": "unit",
            "CLOUDINARY_API_KEY": "key",
            "CLOUDINARY_API_SECRET": "of-the-tests",
            "CLOUDINARY_UPLOAD_PREFIX": f"http://{LOOPBACK}:{self.storage_port}",
            "MEDIA_ALLOWED_HOSTS": LOOPBACK,
            "MEDIA_ALLOW_PRIVATE_HOSTS": "true",
            "PRACTICE_LEDGER": str(self.ledger.file),
            **self.environment,
        }


def start_system(
    folder: Path, kafka: str, prefix: str, dsn: str, environment: Mapping[str, str] | None = None
) -> System:
    """A prepared installation with its tracker, scheduler and storage running, and no worker."""
    system = System(folder, kafka, Topics(prefix), dsn, environment=dict(environment or {}))
    asyncio.run(system.prepare())
    try:
        programs = (system.storage, system.tracker, system.scheduler)
        with ThreadPoolExecutor() as together:  # each of them imports for a second or two
            list(together.map(Program.start, programs))
    except BaseException:
        system.stop()
        raise
    return system
