"""The protocol over random schedules of deaths, zombies and late writes; and each rule broken on purpose."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from .command import first_broken
from .mutations import Mutation
from .schedule import run_schedule

RUN = Path(__file__).with_name("run.py")
SCHEDULES = 300
#: Every broken rule must show within so many seeds; most do within ten.
ENOUGH = 600


def test_every_task_ends_once_and_none_is_stuck_doubled_or_early() -> None:
    reports = [run_schedule(seed) for seed in range(SCHEDULES)]

    assert {report.seed: report.notes.broken for report in reports if report.notes.broken} == {}
    # The schedules are as bad as they claim to be.
    assert sum(report.notes.deaths for report in reports) > SCHEDULES
    assert sum(report.notes.freezes for report in reports) > SCHEDULES
    assert sum(report.notes.refused for report in reports) > SCHEDULES
    assert sum(report.notes.redelivered for report in reports) > SCHEDULES / 2


@pytest.mark.parametrize("mutation", Mutation, ids=lambda mutation: mutation.name.lower())
def test_a_rule_broken_on_purpose_is_noticed(mutation: Mutation) -> None:
    assert first_broken(mutation, range(ENOUGH)) is not None, mutation.value


def test_the_same_seed_is_the_same_schedule_in_any_process() -> None:
    # Hashes of strings differ from process to process; nothing may hang on their order.
    digests = {_digest(seed=7, hash_seed=hash_seed) for hash_seed in ("1", "2")}

    assert digests == {run_schedule(7).digest}
    assert run_schedule(8).digest not in digests


def _digest(seed: int, hash_seed: str) -> str:
    command = [sys.executable, str(RUN), "--schedules", "1", "--seed", str(seed), "--processes", "1", "--json"]
    environment = os.environ | {"PYTHONHASHSEED": hash_seed}
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300, env=environment)  # noqa: S603
    return str(json.loads(done.stdout)["last_digest"])
