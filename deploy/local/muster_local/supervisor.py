"""Starts parts, restarts those that crash, ends all of them. Knows neither which parts there are nor their order."""

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from signal import Signals

from muster_local import processes
from muster_local.board import Board
from muster_local.errors import LocalError
from muster_local.parts import Part, Step
from muster_local.processes import ProcessIdentity
from muster_local.state import PartRecord, State

_LONGEST_PAUSE_SECONDS = 30.0
# A part that ran this long was well: its next crash counts as the first.
_WELL_SECONDS = 60.0
_WATCH_SECONDS = 0.5


def restart_pause(crashes: int) -> float:
    """Seconds to wait before the restart after so many crashes in a row: 1, 2, 4 ... 30."""
    return min(2.0 ** (crashes - 1), _LONGEST_PAUSE_SECONDS)


class Supervisor:
    """Looks after the parts of one `State`; `start` and `run` may be called from several threads."""

    def __init__(self, state: State, board: Board, *, grace_seconds: float = 20.0) -> None:
        self._state = state
        self._board = board
        self._grace_seconds = grace_seconds
        self._parts: dict[str, Part] = {}
        #: Crashes in a row, which decide on the pause, and restarts in all, which are shown.
        self._crashes: dict[str, int] = {}
        self._restarts: dict[str, int] = {}
        self._since: dict[str, float] = {}
        self._restarting: set[str] = set()
        self._stopping = threading.Event()
        state.take(ProcessIdentity.of(os.getpid()))

    def start(self, part: Part) -> None:
        """Start a part and wait until it is ready. Raises LocalError."""
        self._board.begin(part.name, "starting")
        self._launch(part)
        self._board.finish(part.name, f"ready at {self._state.parts[part.name].address}")
        self._parts[part.name] = part

    def run(self, step: Step) -> None:
        """Run a step to its end. Raises LocalError."""

        def register(identity: ProcessIdentity) -> None:
            self._state.record(step.name, PartRecord(identity.pid, identity.created, str(step.log), layer=1))
            self._end_if_stopping(identity)

        self._check_not_stopping()
        self._board.begin(step.name, "running")
        try:
            step.run(register)
        finally:
            self._state.forget(step.name)
        self._board.finish(step.name, "done")

    def watch(self, until: threading.Event) -> None:
        """Restart what crashes, until the event is set."""
        self._state.declare_ready()
        with ThreadPoolExecutor(max(len(self._parts), 1)) as pool:
            while not until.wait(_WATCH_SECONDS):
                for part in self._crashed():
                    self._restarting.add(part.name)
                    pool.submit(self._restart, part, until)

    def stop(self) -> None:
        """End everything, dependents first; starts that are under way fail."""
        self._stopping.set()
        end_parts(self._state, self._grace_seconds)
        self._state.take(None)

    def _launch(self, part: Part) -> None:
        def register(identity: ProcessIdentity) -> None:
            record = PartRecord(
                identity.pid,
                identity.created,
                str(part.log),
                restarts=self._restarts.get(part.name, 0),
                first_signal=part.first_signal,
                layer=part.layer,
            )
            self._state.record(part.name, record)
            self._end_if_stopping(identity)

        def progress(done: int, total: int) -> None:
            self._board.advance(part.name, "fetching files", done, total)

        self._check_not_stopping()
        self._state.record_address(part.name, part.start(register, progress))
        self._since[part.name] = time.monotonic()

    def _crashed(self) -> list[Part]:
        idle = [part for name, part in self._parts.items() if name not in self._restarting]
        records = [(part, self._state.parts.get(part.name)) for part in idle]
        return [part for part, record in records if record and not record.identity.is_alive()]

    def _restart(self, part: Part, until: threading.Event) -> None:
        try:
            self._note_crash(part)
            if not until.wait(restart_pause(self._crashes[part.name])):
                self._restarts[part.name] = self._restarts.get(part.name, 0) + 1
                self._launch(part)
                self._board.note(part.name, f"is back at {self._state.parts[part.name].address}")
        except LocalError as error:
            # The next look finds it dead and tries again, after a longer pause.
            self._board.note(part.name, str(error))
        finally:
            self._restarting.discard(part.name)

    def _note_crash(self, part: Part) -> None:
        identity = self._state.parts[part.name].identity
        well = time.monotonic() - self._since.get(part.name, 0.0) > _WELL_SECONDS
        self._crashes[part.name] = 1 if well else self._crashes.get(part.name, 0) + 1
        processes.end_session(identity)
        pause = restart_pause(self._crashes[part.name])
        code = processes.exit_code(identity)
        self._board.note(
            part.name, f"ended unexpectedly (exit code {code}), starts again in {pause:.0f} s; see {part.log}"
        )

    def _end_if_stopping(self, identity: ProcessIdentity) -> None:
        # `stop` sets the event before it reads the records: a process is either seen there or ended here.
        if self._stopping.is_set():
            processes.stop(identity, timeout_seconds=1)

    def _check_not_stopping(self) -> None:
        if self._stopping.is_set():
            raise LocalError("The system is being stopped.")


def end_parts(state: State, grace_seconds: float) -> list[str]:
    """End every recorded process that still lives, the highest layer first; returns the names of those killed."""
    killed: list[str] = []
    for layer in sorted({record.layer for record in state.parts.values()}, reverse=True):
        names = [name for name, record in state.parts.items() if record.layer == layer]
        with ThreadPoolExecutor(max(len(names), 1)) as pool:
            graceful = pool.map(lambda name: _end(state.parts[name], grace_seconds), names)
            killed += [name for name, well in zip(names, graceful, strict=True) if not well]
        for name in names:
            state.forget(name)
    return killed


def _end(record: PartRecord, grace_seconds: float) -> bool:
    return processes.stop(record.identity, timeout_seconds=grace_seconds, first=Signals(record.first_signal))
