"""Chaos in short: processes are killed while 600 tasks of all kinds run. `make chaos` runs the long form."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.kafka, pytest.mark.postgres]

CHAOS = Path(__file__).with_name("chaos.py")


async def test_600_tasks_end_once_while_everything_is_killed(capsys: pytest.CaptureFixture[str]) -> None:
    short = ["--tasks", "600", "--seconds", "15", "--kill-every", "2", "--slots", "8", "--seed", "1", "--json"]
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(CHAOS), *short, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    output, errors = await process.communicate()

    assert output, errors.decode()
    figures = json.loads(output)
    assert figures["violations"] == {}, figures
    assert figures["tasks"] == 600
    assert sum(figures["ends"].values()) >= 4
    with capsys.disabled():
        print(f"\n600 tasks, {figures['ends']}: 0 lost, {figures['extra_runs']} extra runs")  # noqa: T201
