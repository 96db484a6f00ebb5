"""Bad files are refused as the command promises; how much large ones take is told by the command alone."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.postgres]

COMMAND = Path(__file__).with_name("import_files_bench.py")


async def test_every_bad_file_is_refused_with_row_field_and_reason() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, COMMAND, "--rows", "0", "--json", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    output, errors = await process.communicate()

    assert output, errors.decode()
    told = json.loads(output)
    assert told["broken"] == []
    assert len(told["files"]) > 15
    assert process.returncode == 0
