"""The kinds of parts the local system has, each of which starts and says when it is ready. Supervises nothing."""

import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import httpx

from muster_local import processes
from muster_local.errors import LocalError
from muster_local.jars import Progress
from muster_local.kafka import KafkaOptions, start_kafka
from muster_local.ports import LOOPBACK, is_free, wait_until
from muster_local.postgres import PostgresOptions, start_postgres
from muster_local.processes import ProcessIdentity, Register

#: A log larger than this is put aside as `<name>.1` at the next start.
_LARGEST_LOG_BYTES = 20 * 1024 * 1024


class Part(Protocol):
    """One process to be started and kept alive."""

    @property
    def name(self) -> str: ...
    @property
    def log(self) -> Path: ...
    @property
    def first_signal(self) -> signal.Signals:
        """What asks the process to end."""
        ...

    @property
    def layer(self) -> int:
        """Parts of a higher layer are ended first."""
        ...

    def start(self, register: Register, progress: Progress) -> str:
        """Start and wait until it answers; returns "host:port". Raises LocalError."""
        ...


@dataclass(frozen=True)
class KafkaPart:
    folder: Path
    cache: Path
    port: int
    name: str = "kafka"
    first_signal: signal.Signals = signal.SIGTERM
    layer: int = 0

    @property
    def log(self) -> Path:
        return self.folder / "kafka.log"

    def start(self, register: Register, progress: Progress) -> str:
        check_port(self.name, self.port)
        put_aside(self.log)
        self.folder.mkdir(parents=True, exist_ok=True)
        return start_kafka(self.folder, self.cache, KafkaOptions(self.port), progress, register).bootstrap


@dataclass(frozen=True)
class PostgresPart:
    folder: Path
    port: int
    database: str
    name: str = "postgres"
    # PostgreSQL's "fast shutdown"; SIGTERM would wait for every client to leave.
    first_signal: signal.Signals = signal.SIGINT
    layer: int = 0
    #: Called with the DSN of the database, which exists by then.
    tell_dsn: Callable[[str], None] = field(default=lambda _dsn: None)

    @property
    def log(self) -> Path:
        return self.folder / "postgres.log"

    def start(self, register: Register, progress: Progress) -> str:
        check_port(self.name, self.port)
        put_aside(self.log)
        server = start_postgres(self.folder, PostgresOptions(self.port), register)
        self.tell_dsn(server.create_database(self.database))
        return f"{LOOPBACK}:{server.port}"


@dataclass(frozen=True)
class ServicePart:
    """A program that answers `GET /readyz` with 200 once it is of use."""

    name: str
    command: tuple[str, ...]
    env: Mapping[str, str] = field(repr=False)
    log: Path
    #: Where /readyz is asked.
    probe_port: int
    #: What other programs connect to; None: the same port.
    port: int | None = None
    ready_seconds: float = 60.0
    first_signal: signal.Signals = signal.SIGTERM
    layer: int = 1

    def start(self, register: Register, progress: Progress) -> str:
        put_aside(self.log)
        identity = processes.start(self.command, log=self.log, env=self.env, register=register)
        self._wait_ready(identity)
        return f"{LOOPBACK}:{self.port or self.probe_port}"

    def _wait_ready(self, identity: ProcessIdentity) -> None:
        url = f"http://{LOOPBACK}:{self.probe_port}/readyz"
        with httpx.Client(timeout=5, trust_env=False) as client:
            in_time = wait_until(
                lambda: not identity.is_alive() or answers_ok(client, url),
                timeout_seconds=self.ready_seconds,
                pause_seconds=0.1,
            )
        ended = not identity.is_alive()
        if ended or not in_time:
            processes.stop(identity, timeout_seconds=2)
            raise processes.start_failure(f"The {self.name} service", self.log, ended=ended, seconds=self.ready_seconds)


@dataclass(frozen=True)
class Step:
    """A program that does one thing and ends, like a migration."""

    name: str
    command: tuple[str, ...]
    env: Mapping[str, str] = field(repr=False)
    log: Path
    limit_seconds: float = 120.0

    def run(self, register: Register) -> None:
        """Raises LocalError with the end of its output when it fails or takes too long."""
        self.log.unlink(missing_ok=True)
        identity = processes.start(self.command, log=self.log, env=self.env, register=register)
        if not processes.wait(identity, self.limit_seconds):
            processes.stop(identity, timeout_seconds=2)
            raise LocalError(f"The step '{self.name}' did not end within {self.limit_seconds:.0f} s; see {self.log}.")
        if processes.exit_code(identity):
            raise LocalError(f"The step '{self.name}' failed; the end of {self.log}:\n{processes.tail(self.log)}")


def answers_ok(client: httpx.Client, url: str) -> bool:
    try:
        return client.get(url).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def check_port(part: str, port: int) -> None:
    # Clients of a restarted part know its old port only: another one would not help them.
    if not is_free(port):
        raise LocalError(f"Port {port} of {part} is taken: end the program that uses it, then start again.")


def put_aside(log: Path) -> None:
    if log.exists() and log.stat().st_size > _LARGEST_LOG_BYTES:
        log.replace(log.with_name(f"{log.name}.1"))
