"""The demo as a stranger runs it once: everything starts, 12 photos and 5 reports go through, everything ends."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from muster_local.home import cache
from muster_local.placement import open_temporary_folder

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.e2e]
PHOTOS = 12


@pytest.fixture
def home() -> Iterator[Path]:
    """A home of its own that uses the jars of the project."""
    folder = open_temporary_folder() / f"demo-{uuid.uuid4().hex[:8]}"
    folder.mkdir()
    (folder / "cache").symlink_to(cache())
    yield folder
    muster_local(folder, "down")
    shutil.rmtree(folder)


def test_the_demo_runs_once_tells_each_step_and_leaves_nothing_behind(home: Path) -> None:
    demo = muster_local(home, "demo", "--once", "--seed", "1")

    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert f"{PHOTOS} of {PHOTOS} photos reached SUCCESS and were fetched back whole." in demo.stdout
    assert "3 of 3 letters were read and written down." in demo.stdout
    # The picture of every photo, and what the status API said of one.
    assert len(re.findall(r"http://127\.0\.0\.1:\d+/\S+/profile_pic_\d+\.jpg", demo.stdout)) >= PHOTOS
    assert "5 of 5 reports are PDF files that were fetched back." in demo.stdout
    assert "1 push arrived encrypted and was read by its browser" in demo.stdout
    assert re.search(r"GET /api/tasks/\S+/status", demo.stdout)
    assert '"successful": true' in demo.stdout
    assert re.search(r"The mail is at http://127\.0\.0\.1:\d+/messages/\d+", demo.stdout)
    assert "Failures of this kind so far: 1; alerts: 1." in demo.stdout
    assert re.search(r"The alert is at http://127\.0\.0\.1:\d+/messages/\d+", demo.stdout)
    assert processes_of(home) == []


def muster_local(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "muster_local", *arguments]
    environment = {**os.environ, "MUSTER_HOME": str(home)}
    return subprocess.run(command, capture_output=True, text=True, timeout=600, check=False, env=environment)  # noqa: S603


def processes_of(home: Path) -> list[str]:
    """Every living process that was started with this home."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("MUSTER_HOME") == str(home) or str(home) in " ".join(process.cmdline()):
                found.append(process.name())
        except psutil.Error:
            continue
    return found
