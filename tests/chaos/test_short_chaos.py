"""Chaos in short: everything is killed, Kafka too, while 600 tasks of all kinds run. `make chaos` is the long form."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.kafka, pytest.mark.postgres]

MUSTER = Path(sys.executable).with_name("muster")


async def test_600_tasks_end_once_while_everything_is_killed(capsys: pytest.CaptureFixture[str]) -> None:
    short = ["--tasks", "600", "--seconds", "10", "--kill-every", "1.5", "--slots", "8", "--lease", "9"]
    # A seed that strikes a worker and all others, and ends Kafka by SIGTERM: after SIGKILL it is away for longer.
    short += ["--seed", "766"]
    process = await asyncio.create_subprocess_exec(
        MUSTER, "chaos", "run", *short, "--json", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    output, errors = await process.communicate()

    assert output, errors.decode()
    found = json.loads(output)
    assert found["violations"] == {}, found
    assert found["tasks"] == 600
    struck = {who for who, ends in found["ends"].items() if ends.keys() & {"SIGKILL", "SIGTERM", "joined"}}
    assert "broker" in struck, found["ends"]
    assert len(struck) >= 3, found["ends"]
    with capsys.disabled():
        print(f"\n600 tasks, {found['ends']}: 0 lost, {found['extra_runs']} extra runs")  # noqa: T201
