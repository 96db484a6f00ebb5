"""The whole system from outside: up, the demo's photos, a killed worker, down; every process is a real one."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from muster_local.home import cache
from muster_local.placement import open_temporary_folder
from muster_local.ports import wait_until


class System:
    """`muster-local` in a home of its own, with the jars of the project."""

    def __init__(self, home: Path) -> None:
        self.home = home
        home.mkdir()
        (home / "cache").symlink_to(cache())

    def run(self, *arguments: str, timeout: float = 600) -> subprocess.CompletedProcess[str]:
        # Not the port of a demo that may run beside the test.
        environment = {**os.environ, "MUSTER_HOME": str(self.home)}
        return subprocess.run(  # noqa: S603
            [sys.executable, "-m", "muster_local", *arguments],
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            env=environment,
        )

    def parts(self) -> dict[str, dict[str, Any]]:
        told = json.loads(self.run("status", "--json").stdout)
        return {part["name"]: part for part in told["parts"]}

    def processes(self) -> list[int]:
        """Every living process that was started with this home."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("MUSTER_HOME") == str(self.home) or str(self.home) in process.cmdline():
                    found.append(process.pid)
            except psutil.Error:
                continue
        return found


@pytest.fixture
def system() -> Iterator[System]:
    home = open_temporary_folder() / f"system-{uuid.uuid4().hex[:8]}"
    system = System(home)
    yield system
    system.run("down")
    shutil.rmtree(home)


@pytest.mark.e2e
@pytest.mark.kafka
@pytest.mark.postgres
def test_photos_go_through_and_a_killed_worker_comes_back(system: System) -> None:
    started = system.run("up", "--detach")
    assert started.returncode == 0, started.stderr

    # When a worker is killed, then it is started again.
    before = system.parts()
    os.kill(before["media"]["pid"], signal.SIGKILL)
    assert wait_until(lambda: _is_back(system, before), timeout_seconds=60, pause_seconds=0.5)

    # And the demo uses the system that is up, and leaves it up.
    demo = system.run("demo", "--seed", "1")
    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert "12 of 12 photos reached SUCCESS" in demo.stdout

    # And `down` ends everything, after which it starts on what it had.
    assert len(system.processes()) > len(before)
    assert system.run("down").returncode == 0
    assert system.processes() == []
    begun = time.monotonic()
    assert system.run("up", "--detach").returncode == 0
    print(f"\nsecond start: {time.monotonic() - begun:.1f} s")  # noqa: T201  promised are 12 on an idle machine
    again = system.run("demo", "--seed", "2")
    assert again.returncode == 0, again.stdout + again.stderr


def _is_back(system: System, before: dict[str, dict[str, Any]]) -> bool:
    media = system.parts()["media"]
    return media["pid"] != before["media"]["pid"] and media["address"] is not None and media["restarts"] == 1
