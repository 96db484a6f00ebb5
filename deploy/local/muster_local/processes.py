"""One process of the operating system: start it, recognise it again later, end it. Knows nothing of what it runs."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil

from muster_local.account import Account, popen_arguments
from muster_local.errors import LocalError

#: Every process started here, so that exit codes stay readable and nothing is collected while it runs.
_started: dict[int, subprocess.Popen[bytes]] = {}


@dataclass(frozen=True)
class ProcessIdentity:
    """A process that can be recognised again: pids are reused, a pid with its start time is not."""

    pid: int
    #: Seconds since the epoch, as the operating system reports it.
    created: float

    @classmethod
    def of(cls, pid: int) -> Self:
        return cls(pid, psutil.Process(pid).create_time())

    def process(self) -> psutil.Process | None:
        """The living process, or None when it has ended (or its pid belongs to another one now)."""
        try:
            process = psutil.Process(self.pid)
            # Clock steps move the reported time a little; a reused pid is seconds away.
            same = abs(process.create_time() - self.created) < 1.0
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.NoSuchProcess:
            return None

    def is_alive(self) -> bool:
        return self.process() is not None


def start(
    command: Sequence[str | Path],
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    account: Account | None = None,
) -> ProcessIdentity:
    """Start `command` in a session of its own, so that a Ctrl-C of the terminal reaches only its supervisor."""
    log.parent.mkdir(parents=True, exist_ok=True)
    arguments = [str(part) for part in command]
    try:
        with log.open("ab") as output:
            process = subprocess.Popen(  # noqa: S603 - commands of this package only
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(env) if env is not None else None,
                cwd=cwd,
                start_new_session=True,
                **popen_arguments(account),
            )
    except OSError as error:
        raise LocalError(f"{arguments[0]} could not be started: {error.strerror}.") from error
    _started[process.pid] = process
    return ProcessIdentity.of(process.pid)


def exit_code(identity: ProcessIdentity) -> int | None:
    """The exit code of a process that this Python started; None while it runs or when it is another's child."""
    process = _started.get(identity.pid)
    return process.poll() if process else None


def stop(identity: ProcessIdentity, *, timeout_seconds: float = 20, first: signal.Signals = signal.SIGTERM) -> bool:
    """Ask the process to end, then kill it with all its children. False when it had to be killed."""
    process = identity.process()
    if process is None:
        exit_code(identity)
        return True
    with contextlib.suppress(psutil.NoSuchProcess):
        children = process.children(recursive=True)
        process.send_signal(first)
        graceful = _ended(identity, process, timeout_seconds)
        for survivor in [process, *children]:
            with contextlib.suppress(psutil.NoSuchProcess):
                survivor.kill()
        _ended(identity, process, 5)
        return graceful
    return True


def _ended(identity: ProcessIdentity, process: psutil.Process, timeout_seconds: float) -> bool:
    own = _started.get(identity.pid)
    try:
        if own:
            own.wait(timeout_seconds)
        else:
            process.wait(timeout_seconds)
    except (subprocess.TimeoutExpired, psutil.TimeoutExpired):
        return False
    return True


def tail(log: Path, lines: int = 15) -> str:
    """The last lines of a log file, for the message of an error."""
    try:
        with log.open("rb") as source:
            source.seek(max(0, os.path.getsize(log) - 32_768))
            return "\n".join(source.read().decode(errors="replace").splitlines()[-lines:])
    except OSError:
        return "(no log)"
