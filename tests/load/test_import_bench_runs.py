"""The benchmark of imports still runs, in small; how fast it must be is the command's business."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.postgres]

COMMAND = Path(__file__).with_name("import_bench.py")


async def test_every_kind_of_import_is_measured_and_ends_as_it_should() -> None:
    short = ["--rows", "150", "--large", "0", "--json"]
    process = await asyncio.create_subprocess_exec(
        sys.executable, COMMAND, *short, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    output, errors = await process.communicate()

    assert output, errors.decode()
    found = {one["name"]: one for one in json.loads(output)["imports"]}
    counts = {name: one["counts"] or {} for name, one in found.items()}
    assert {name: {what for what, count in of.items() if count} for name, of in counts.items()} == {
        "import, created": {"created"}, "row by row": set(), "again, skipped": {"skipped"},
        "update, all changed": {"updated"}, "update, none changed": {"skipped"},
    }  # fmt: skip
    assert all(one["seconds"] > 0 for one in found.values())
    assert found["import, created"]["peak_mb"] > 0
