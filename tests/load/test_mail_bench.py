"""The mail benchmark in small: its promises are judged, rates are the whole one's."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.postgres]

BENCH = Path(__file__).with_name("mail_bench.py")


async def test_every_good_address_gets_one_mail_through_refusals_and_kills(postgres: str) -> None:
    small = ["--recipients", "80", "--kills", "0", "--worst-kills", "1", "--without-rates"]
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(BENCH), *small, "--database-url", postgres, "--json",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, errors = await process.communicate()

    assert process.returncode == 0, output.decode() + errors.decode()
    figures = json.loads(output)
    assert figures["broken"] == []
    assert (figures["good"], figures["refused"], figures["bad_mails"]) == (76, 4, 0)
    assert figures["attempts"] == 2
    # The server had a mail on each connection, or was about to, and the sender did not hear of it.
    assert 1 <= figures["in_between"] <= 4
    assert figures["twice"] == figures["in_between"]
    assert figures["mails"] == 76 + figures["twice"]
