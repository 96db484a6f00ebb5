"""Parts that start, crash, hang and end, played by small programs; nothing of the real system is needed here."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from muster_local import processes
from muster_local.board import Board
from muster_local.errors import LocalError
from muster_local.parts import ServicePart, Step
from muster_local.ports import accepts, free_port, wait_until
from muster_local.processes import ProcessIdentity
from muster_local.session import end_everything
from muster_local.state import PartRecord, State
from muster_local.supervisor import Supervisor, restart_pause
from rich.console import Console

# Answers /readyz, and has a child of its own, as a worker with a process pool has.
WELL = """
import http.server, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("child", child.pid, flush=True)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/readyz" else 404)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
DIES = "import sys; print('the key is missing'); sys.exit(3)"
HANGS = "import time; time.sleep(600)"
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State(tmp_path / "state.json")


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Board]:
    with (tmp_path / "board.txt").open("w") as file:
        yield Board(Console(file=file, width=200))


@pytest.fixture
def supervisor(state: State, board: Board) -> Iterator[Supervisor]:
    supervisor = Supervisor(state, board, grace_seconds=2)
    yield supervisor
    supervisor.stop()


def part(tmp_path: Path, program: str, name: str = "media", ready_seconds: float = 20) -> ServicePart:
    port = free_port()
    command = (sys.executable, "-c", program, str(port))
    return ServicePart(name, command, dict(os.environ), tmp_path / f"{name}.log", port, ready_seconds=ready_seconds)


def child_of(service: ServicePart) -> int:
    lines = [line.split() for line in service.log.read_text().splitlines() if line.startswith("child")]
    return int(lines[-1][1])


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_a_part_is_ready_when_it_says_so_and_ends_with_its_children(
    supervisor: Supervisor, state: State, tmp_path: Path
) -> None:
    service = part(tmp_path, WELL)
    supervisor.start(service)
    record, child = state.parts["media"], child_of(service)
    assert record.address == f"127.0.0.1:{service.probe_port}"
    assert accepts(service.probe_port)

    supervisor.stop()
    assert not record.identity.is_alive()
    assert is_gone(child)
    assert State.load(state.file).parts == {}


def test_a_part_that_dies_at_once_is_reported_with_its_last_words(supervisor: Supervisor, tmp_path: Path) -> None:
    with pytest.raises(LocalError, match=r"The media service ended while starting.*\n?.*the key is missing"):
        supervisor.start(part(tmp_path, DIES))


def test_a_part_that_never_gets_ready_is_given_up_and_ended(
    supervisor: Supervisor, state: State, tmp_path: Path
) -> None:
    with pytest.raises(LocalError, match="was not ready within 1 s"):
        supervisor.start(part(tmp_path, HANGS, ready_seconds=1))
    assert not state.parts["media"].identity.is_alive()


def test_a_crashed_part_is_started_again_where_it_was(supervisor: Supervisor, state: State, tmp_path: Path) -> None:
    service = part(tmp_path, WELL)
    supervisor.start(service)
    crashed, child = state.parts["media"], child_of(service)
    until = threading.Event()
    watcher = threading.Thread(target=supervisor.watch, args=(until,))
    watcher.start()

    os.kill(crashed.pid, signal.SIGKILL)
    back = wait_until(
        lambda: state.parts["media"].pid != crashed.pid and bool(state.parts["media"].address), timeout_seconds=20
    )
    until.set()
    watcher.join()

    assert back
    assert state.parts["media"].restarts == 1
    assert state.parts["media"].address == crashed.address
    assert is_gone(child), "what the crashed process left behind must not live on beside its successor"
    assert "ended unexpectedly (exit code -9)" in (tmp_path / "board.txt").read_text()


@pytest.mark.parametrize(("crashes", "seconds"), [(1, 1), (2, 2), (3, 4), (5, 16), (6, 30), (500, 30)])
def test_the_pause_before_a_restart_doubles_up_to_half_a_minute(crashes: int, seconds: float) -> None:
    assert restart_pause(crashes) == seconds


def test_a_part_deaf_to_the_signal_is_killed(tmp_path: Path) -> None:
    log = tmp_path / "deaf.log"
    identity = processes.start([sys.executable, "-c", DEAF], log=log)
    assert wait_until(lambda: "deaf" in log.read_text(), timeout_seconds=60)
    assert processes.stop(identity, timeout_seconds=0.3) is False
    assert not identity.is_alive()


def test_nothing_starts_after_the_stop(supervisor: Supervisor, tmp_path: Path) -> None:
    supervisor.stop()
    with pytest.raises(LocalError, match="being stopped"):
        supervisor.start(part(tmp_path, WELL))


def test_a_start_that_is_under_way_fails_when_all_is_stopped(
    supervisor: Supervisor, state: State, tmp_path: Path
) -> None:
    errors: list[LocalError] = []

    def start() -> None:
        try:
            supervisor.start(part(tmp_path, HANGS))
        except LocalError as error:
            errors.append(error)

    starting = threading.Thread(target=start)
    starting.start()
    assert wait_until(lambda: "media" in state.parts, timeout_seconds=60)
    identity = state.parts["media"].identity
    supervisor.stop()
    starting.join(10)
    assert not identity.is_alive()
    assert len(errors) == 1


def test_what_a_killed_supervisor_left_is_ended_from_its_file(
    supervisor: Supervisor, state: State, tmp_path: Path
) -> None:
    supervisor.start(part(tmp_path, WELL))
    left = State.load(state.file)
    left.supervisor = ProcessIdentity(left.parts["media"].pid, 0.0)  # long gone, its pid reused

    assert end_everything(left) == ["media"]
    assert not left.parts
    assert not state.parts["media"].identity.is_alive()


def test_a_process_that_only_has_the_pid_of_a_part_is_left_alone(state: State) -> None:
    stranger = subprocess.Popen([sys.executable, "-c", HANGS], start_new_session=True)  # noqa: S603
    try:
        began = ProcessIdentity.of(stranger.pid).created
        state.record("media", PartRecord(stranger.pid, began - 3600, "media.log"))
        assert end_everything(state) == []
        with pytest.raises(subprocess.TimeoutExpired):
            stranger.wait(0.5)
    finally:
        stranger.kill()
        stranger.wait()


def test_a_step_that_fails_shows_the_end_of_its_output(supervisor: Supervisor, state: State, tmp_path: Path) -> None:
    step = Step("migrate", (sys.executable, "-c", DIES), dict(os.environ), tmp_path / "migrate.log")
    with pytest.raises(LocalError, match=r"The step 'migrate' failed[\s\S]*the key is missing"):
        supervisor.run(step)
    assert "migrate" not in state.parts


def test_a_step_that_hangs_is_ended(supervisor: Supervisor, tmp_path: Path) -> None:
    step = Step("migrate", (sys.executable, "-c", HANGS), {}, tmp_path / "migrate.log", limit_seconds=0.5)
    with pytest.raises(LocalError, match="did not end within"):
        supervisor.run(step)


def test_a_program_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="/no/such/program could not be started"):
        processes.start(["/no/such/program"], log=tmp_path / "x.log")


def test_a_full_disk_is_said_in_one_sentence(tmp_path: Path) -> None:
    log = tmp_path / "kafka.log"
    log.write_text("java.io.IOException: No space left on device\n")
    error = processes.start_failure("Kafka", log, ended=True, seconds=1)
    assert str(error) == "The disk is full: Kafka could not write to it. Make room and start again."
