"""One process of the operating system: start it, recognise it again later, end it. Knows nothing of what it runs."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil

from muster_local.account import Account, popen_arguments
from muster_local.errors import LocalError

#: Every process started here, so that exit codes stay readable and nothing is collected while it runs.
_started: dict[int, subprocess.Popen[bytes]] = {}


# Clock steps move the reported start time a little; a reused pid is much farther away.
_SAME_START_SECONDS = 1.0


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
            same = abs(process.create_time() - self.created) < _SAME_START_SECONDS
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.NoSuchProcess:
            return None

    def is_alive(self) -> bool:
        return self.process() is not None


Register = Callable[[ProcessIdentity], None]


def _nobody(_identity: ProcessIdentity) -> None:
    """Nobody wants to know of the process."""


def start(
    command: Sequence[str | Path],
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    account: Account | None = None,
    register: Register = _nobody,
) -> ProcessIdentity:
    """Start `command` in a session of its own, so that a Ctrl-C of the terminal reaches only its supervisor.

    `register` is called with the process as soon as it exists, long before it is of use.
    """
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
    identity = ProcessIdentity.of(process.pid)
    register(identity)
    return identity


def exit_code(identity: ProcessIdentity) -> int | None:
    """The exit code of a process that this Python started; None while it runs or when it is another's child."""
    process = _started.get(identity.pid)
    return process.poll() if process else None


def stop(identity: ProcessIdentity, *, timeout_seconds: float = 20, first: signal.Signals = signal.SIGTERM) -> bool:
    """Ask the process to end, then kill what is left of its session. False when it had to be killed."""
    process = identity.process()
    graceful = True
    if process is not None:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(first)
            graceful = wait(identity, timeout_seconds)
    end_session(identity)
    return graceful


def wait(identity: ProcessIdentity, timeout_seconds: float) -> bool:
    """Wait for the end of the process; False when it still runs after the time."""
    own, process = _started.get(identity.pid), identity.process()
    try:
        if own:
            own.wait(timeout_seconds)
        elif process:
            process.wait(timeout_seconds)
    except (subprocess.TimeoutExpired, psutil.TimeoutExpired):
        return False
    return True


def end_session(identity: ProcessIdentity) -> None:
    """Kill the process and the children it left behind: all that still belong to the session it was started in."""
    if _belongs_to_another(identity):
        return
    killed = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            if os.getsid(process.pid) == identity.pid:
                process.kill()
                killed.append(process)
    wait(identity, 5)
    psutil.wait_procs(killed, timeout=5)


def _belongs_to_another(identity: ProcessIdentity) -> bool:
    """Whether the pid was given to a new process. It is not while the old one's session has members."""
    try:
        return abs(psutil.Process(identity.pid).create_time() - identity.created) >= _SAME_START_SECONDS
    except psutil.NoSuchProcess:
        return False


def start_failure(what: str, log: Path, *, ended: bool, seconds: float) -> LocalError:
    """The error for a part that did not come up, with the end of its log."""
    end = tail(log)
    if "No space left on device" in end:
        return LocalError(f"The disk is full: {what} could not write to it. Make room and start again.")
    how = "ended while starting" if ended else f"was not ready within {seconds:.0f} s"
    return LocalError(f"{what} {how}; the end of {log}:\n{end}")


def tail(log: Path, lines: int = 15) -> str:
    """The last lines of a log file, for the message of an error."""
    try:
        with log.open("rb") as source:
            source.seek(max(0, os.path.getsize(log) - 32_768))
            return "\n".join(source.read().decode(errors="replace").splitlines()[-lines:])
    except OSError:
        return "(no log)"
