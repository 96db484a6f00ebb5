"""Two imports killed in the middle, in short; `python tests/e2e/import_kills.py` is the long form."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.postgres]

COMMAND = Path(__file__).with_name("import_kills.py")


async def test_a_killed_import_leaves_nothing_and_its_repetition_everything_once(postgres: str) -> None:
    short = ["--kills", "2", "--rows", "300", "--seed", "4", "--database-url", postgres, "--json"]
    process = await asyncio.create_subprocess_exec(
        sys.executable, COMMAND, *short, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    output, errors = await process.communicate()

    assert output, errors.decode()
    found = json.loads(output)
    assert found["violations"] == [], found
    assert found["kills"] == 2
    assert sum(found["left"].values()) == 2
    assert process.returncode == 0
