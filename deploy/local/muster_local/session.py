"""One run of the local system in this process: start, watch, end. How parts start is elsewhere."""

import fcntl
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

from muster_local import processes
from muster_local.board import Board
from muster_local.checks import check_machine
from muster_local.errors import LocalError
from muster_local.home import cache, home
from muster_local.parts import put_aside
from muster_local.ports import wait_until
from muster_local.stack import Stack
from muster_local.state import State
from muster_local.supervisor import Supervisor, end_parts

# A worker may let its tasks run MUSTER_GRACE_SECONDS (10 here) before it hands them back.
_GRACE_SECONDS = 20.0
#: The first start fetches 45 MB and makes two databases.
FIRST_START_SECONDS = 300.0
_ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def load_state() -> State:
    return State.load(home() / "state.json")


@contextmanager
def running(board: Board) -> Iterator[Stack]:
    """The whole system for as long as the block lasts; ends everything however the block ends.

    SIGINT, SIGTERM and SIGHUP end the block with KeyboardInterrupt. Raises LocalError when a part cannot start.
    """
    folder = home()
    with _sole_user(folder):
        state = load_state()
        _end_leftovers(state, board)
        check_machine(folder)
        _interrupt_on_signals()
        supervisor, until = Supervisor(state, board, grace_seconds=_GRACE_SECONDS), threading.Event()
        watcher = threading.Thread(target=supervisor.watch, args=(until,), name="watch")
        try:
            stack = Stack(folder, cache(), state)
            with board:
                stack.up(supervisor)
            watcher.start()
            yield stack
        finally:
            _ignore_signals()
            until.set()
            supervisor.stop()
            if watcher.ident:
                watcher.join()


def end_everything(state: State) -> list[str]:
    """End what `state` names, however it was started; returns the names of the parts that were alive."""
    alive = [name for name, record in state.parts.items() if record.identity.is_alive()]
    if state.supervisor and state.supervisor.is_alive():
        alive.insert(0, "supervisor")
        processes.stop(state.supervisor, timeout_seconds=2 * _GRACE_SECONDS + 10)
    end_parts(state, _GRACE_SECONDS)
    state.take(None)
    return alive


def start_in_background(command: Sequence[str]) -> State:
    """Run `command`, which must hold `running`, as a process of its own; returns when the system is ready."""
    log = home() / "logs" / "supervisor.log"
    put_aside(log)
    before = log.stat().st_size if log.exists() else 0
    identity = processes.start(command, log=log)
    state_file = home() / "state.json"

    def ready_or_over() -> bool:
        return State.load(state_file).ready_under(identity) or not identity.is_alive()

    if wait_until(ready_or_over, timeout_seconds=FIRST_START_SECONDS, pause_seconds=0.1) and identity.is_alive():
        return State.load(state_file)
    processes.stop(identity, timeout_seconds=2 * _GRACE_SECONDS)
    with log.open("rb") as source:
        source.seek(before)
        said = source.read().decode(errors="replace").strip()
    raise LocalError(said.rpartition("Error: ")[2] or "The supervisor ended without a word.")


def wait_until_ready() -> State:
    """The state once the process that is starting the system declares it ready. Raises LocalError when it gives up."""
    state_file = home() / "state.json"

    def ready_or_over() -> bool:
        state = State.load(state_file)
        return state.ready or not state.supervised()

    wait_until(ready_or_over, timeout_seconds=FIRST_START_SECONDS, pause_seconds=0.2)
    state = State.load(state_file)
    if not state.ready:
        raise LocalError("The system that another process is starting did not become ready: see `muster-local logs`.")
    return state


@contextmanager
def _sole_user(folder: Path) -> Iterator[None]:
    with (folder / "lock").open("w") as guard:
        try:
            fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LocalError(
                f"The system of {folder} already runs: see it with `muster-local status`, end it with `make down`."
            ) from None
        yield


def _end_leftovers(state: State, board: Board) -> None:
    left = [name for name, record in state.parts.items() if record.identity.is_alive()]
    if left:
        board.note("supervisor", f"ends what an earlier run left behind: {', '.join(left)}")
    end_parts(state, grace_seconds=5)


def _interrupt_on_signals() -> None:
    def interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    for number in _ENDING_SIGNALS:
        signal.signal(number, interrupt)


def _ignore_signals() -> None:
    for number in _ENDING_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
