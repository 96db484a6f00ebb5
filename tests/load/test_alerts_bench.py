"""Alerts in short: a flood, a kill in the middle, a mail server that is away. `alerts_bench.py` is the long form."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from alerting.installation import Installation
from alerting.sinks import Sinks
from alerting.stories import equal_letters, mail_is_away, nothing_lost_or_doubled, three_causes

pytestmark = [pytest.mark.e2e, pytest.mark.kafka, pytest.mark.postgres]


async def test_alerts_neither_spam_nor_go_silent_while_they_are_killed(
    kafka: str, postgres: str, topic_prefix: str, tmp_path: Path
) -> None:
    async with Sinks() as sinks:
        inside = Installation(tmp_path, kafka, postgres, topic_prefix, sinks)
        await inside.prepare()
        try:
            inside.start()
            told = [
                await equal_letters(inside, sinks, 1_000, 1, random.Random(5)),
                await three_causes(inside, sinks),
                await mail_is_away(inside, sinks),
                await nothing_lost_or_doubled(inside, sinks),
            ]
        finally:
            await inside.stop()

    assert [miss for story in told for miss in story.misses] == []
