"""What the fleet commands count, on runs written down by hand."""

from __future__ import annotations

import pytest
from fleet.runs import Run, idle_part, parse_runs, run_twice, waits


def test_a_log_becomes_runs_and_a_second_run_is_counted() -> None:
    found = parse_runs(["began a 1 1 10.0", "began a 1 2 11.0", "ended a 1 2 12.5", "began b 2 1 11.0"])

    assert [(run.task_id, run.delivery, run.began, run.ended) for run in found] == [
        ("a", 1, 10.0, None), ("a", 2, 11.0, 12.5), ("b", 1, 11.0, None),
    ]  # fmt: skip
    assert run_twice(found) == 1
    assert waits({"a": 9.5, "b": 10.0}, found) == [0.5, 1.0]


@pytest.mark.parametrize(
    ("second_began", "idle"),
    [
        (0.0, 0.0),  # both slots are busy from the start, nothing waits
        (1.0, 0.5),  # for as long as it waits one of two slots is idle
    ],
)
def test_a_slot_is_idle_only_while_a_task_waits_for_it(second_began: float, idle: float) -> None:
    found = [Run("a", 1, 1, 0.0, 4.0), Run("b", 1, 1, second_began, 4.0)]

    assert idle_part({"a": 0.0, "b": 0.0}, found, slots=2) == idle
