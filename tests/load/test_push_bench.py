"""The push benchmark in small: its promises are judged, its rate and its memory are only told."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.postgres]

BENCH = Path(__file__).with_name("push_bench.py")


async def test_a_broadcast_reaches_every_browser_once_and_forgets_those_that_are_gone(postgres: str) -> None:
    small = ["--browsers", "300", "--one-by-one", "20", "--kills", "1"]
    unjudged = ["--least-ratio", "0", "--most-growth", "100"]
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(BENCH), *small, *unjudged, "--database-url", postgres, "--json",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, errors = await process.communicate()

    assert process.returncode == 0, output.decode() + errors.decode()
    figures = json.loads(output)
    assert figures["broken"] == []
    assert figures["all"]["result"] == {"role": "cadet", "total_users": 300, "sent": 294, "failed": 0, "expired": 6}
    assert figures["all"]["per_second"] > 0
    assert figures["one_by_one"]["tried"] == 20
