"""The show of what imports promise, with few cadets; `python tests/e2e/import_show.py` has a thousand."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.postgres]

COMMAND = Path(__file__).with_name("import_show.py")


async def test_every_promise_of_imports_is_kept(postgres: str) -> None:
    short = ["--cadets", "40", "--broken", "1100", "--database-url", postgres, "--json"]
    process = await asyncio.create_subprocess_exec(
        sys.executable, COMMAND, *short, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    output, errors = await process.communicate()

    assert output, errors.decode()
    found = json.loads(output)
    assert [line for line in found["lines"] if not line["kept"]] == []
    assert len(found["lines"]) > 30
    assert process.returncode == 0
