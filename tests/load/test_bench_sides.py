"""The sides of `make bench`: an older revision runs its own code, and ratios say who is faster. Measures nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from benchmark.figures import Figures, Ratios
from benchmark.revision import lay_out
from benchmark.stack import BenchError


def figures(name: str, throughput: list[float], cpu: float) -> Figures:
    return Figures(name, 100, throughput, latency=[[0.01]], cpu=[{"worker": cpu}, {"worker": cpu}])


def test_an_older_revision_runs_its_own_packages_and_its_own_worker(tmp_path: Path) -> None:
    older = lay_out("HEAD", tmp_path)
    code = "import muster, tracker_service; print(muster.__file__, tracker_service.__file__)"
    command = [sys.executable, "-c", code]

    done = subprocess.run(command, env=os.environ | older.env, capture_output=True, text=True, check=True)  # noqa: S603

    assert [Path(file).is_relative_to(older.root) for file in done.stdout.split()] == [True, True]
    assert (older.load / "noop_worker.py").is_file()


def test_a_revision_that_git_does_not_know_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="no-such-revision"):
        lay_out("no-such-revision", tmp_path)


def test_revisions_are_compared_round_by_round_so_that_a_slow_round_of_both_changes_nothing() -> None:
    ours, theirs = figures("muster", [95.0, 9.5, 96.0], 2.0), figures("muster 123", [100.0, 10.0, 100.0], 1.0)

    ratios = Ratios.of(ours, theirs, revision=True)

    assert ratios.throughput == pytest.approx(0.95)
    assert ratios.cpu == pytest.approx(2.0)
    assert ratios.as_json()["targets_met"] is True
    assert Ratios.of(theirs, ours, revision=False).as_json()["targets_met"] is False
