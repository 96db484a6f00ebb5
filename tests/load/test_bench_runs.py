"""`make bench` in small: both stacks start, run tasks and give figures. The figures themselves are not judged here."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.kafka, pytest.mark.postgres]

BENCH = Path(__file__).with_name("bench.py")


async def test_the_bench_measures_both_stacks_and_their_ratios() -> None:
    small = ["--tasks", "300", "--celery-tasks", "40", "--rounds", "1", "--samples", "5", "--json"]
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(BENCH), *small, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    output, errors = await process.communicate()

    assert process.returncode == 0, errors.decode()
    figures = json.loads(output)
    assert figures["stacks"]["muster"]["throughput_per_second"] > 0
    assert set(figures["stacks"]["muster"]["memory_mb"]) == {"muster worker", "muster tracker", "kafka"}
    if figures["comparison_skipped"] is None:
        assert figures["ratios"]["throughput"] > 0
    else:
        assert "redis-server was not found" in figures["comparison_skipped"]
