"""The verdict on a run of chaos notices each kind of violation. No process is started here."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from muster.contracts.envelope import Failure, TaskRecord
from muster.ports import Record

from .submission import Submitted
from .verdict import Run, Verdict, count_ends, count_retries

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def retry(task_id: str, attempt: int, due: datetime) -> Record:
    task = TaskRecord(
        task_id=task_id, task_type="quick", body=b"{}", attempt=attempt, not_before=due,
        failure=Failure("error", "Boom", "it broke") if attempt > 1 else None,
    )  # fmt: skip
    return Record("tasks.retry", 0, 0, 0, task.key, task.body, tuple(task.headers()))


def test_each_end_that_should_not_be_is_named() -> None:
    kinds = dict.fromkeys(("good", "gone", "unknown", "held", "waits", "wrong", "given-up"), "quick")
    states: dict[str, tuple[str, str | None]] = {
        "good": ("SUCCESS", None), "held": ("STARTED", None), "waits": ("RETRY", None), "wrong": ("FAILURE", "error"),
        "given-up": ("FAILURE", "worker_lost"),
    }  # fmt: skip
    verdict = Verdict()

    count_ends(verdict, Submitted(kinds, unacknowledged={"unknown"}), states)

    assert verdict.violations() == {"lost": 1, "stuck": 1, "never_terminal": 1, "wrong_end": 1}
    assert verdict.named["lost"] == ["gone"]
    assert verdict.given_up == 1


def test_a_doubled_attempt_and_an_early_run_are_named() -> None:
    due = NOW + timedelta(seconds=5)
    records = [retry("doubled", 2, NOW), retry("doubled", 2, NOW), retry("early", 1, due), retry("good", 2, NOW)]
    runs = [Run("early", 1, 1, NOW.timestamp()), Run("good", 2, 1, due.timestamp())]
    verdict = Verdict()

    count_retries(verdict, runs, records)

    assert verdict.violations() == {"doubled_attempts": 1, "early": 1}
    assert verdict.named == {"doubled_attempts": ["doubled"], "early": ["early"]}
