"""The verdict on a run of chaos notices each kind of violation. No process is started here."""

from __future__ import annotations

import random
import signal
from datetime import UTC, datetime, timedelta
from itertools import islice

from muster.contracts.envelope import Failure, TaskRecord
from muster.ports import Record
from muster.settings import Settings
from muster_local.chaos.plan import Plan, Target, strikes
from muster_local.chaos.submission import Submitted
from muster_local.chaos.verdict import (
    Run,
    States,
    Verdict,
    count_effects,
    count_ends,
    count_order,
    count_retries,
    count_runs,
)

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def retry(task_id: str, attempt: int, due: datetime) -> Record:
    task = TaskRecord(
        task_id=task_id, task_type="quick", body=b"{}", attempt=attempt, not_before=due,
        failure=Failure("error", "Boom", "it broke") if attempt > 1 else None,
    )  # fmt: skip
    return Record("tasks.retry", 0, 0, 0, task.key, task.body, tuple(task.headers()))


def test_each_end_that_should_not_be_is_named() -> None:
    kinds = dict.fromkeys(("good", "gone", "unknown", "held", "waits", "wrong", "given-up"), "quick")
    states: States = {
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


def test_only_a_task_whose_revocation_was_taken_may_end_revoked() -> None:
    kinds = {"asked": "quick", "not-asked": "quick", "too-late": "quick"}
    states: States = {
        "asked": ("REVOKED", None), "not-asked": ("REVOKED", None), "too-late": ("SUCCESS", None),
    }  # fmt: skip
    verdict = Verdict()

    count_ends(verdict, Submitted(kinds, revoked={"asked": 1.0, "too-late": 1.0}), states)

    assert verdict.named == {"wrong_end": ["not-asked"]}
    assert verdict.revoked == 1


def test_a_revoked_task_that_runs_later_and_extra_runs_past_their_bound_are_violations() -> None:
    submitted = Submitted({"late": "quick", "before": "quick"}, revoked={"late": 100.0, "before": 100.0})
    runs = [Run("late", 1, 1, 103.0), Run("before", 1, 1, 99.0), Run("before", 1, 2, 99.5)]
    verdict = Verdict(extra_runs_bound=0)

    count_runs(verdict, submitted, runs)

    assert verdict.violations() == {"revoked_but_run": 1, "extra_runs": 1}
    assert verdict.named == {"revoked_but_run": ["late"]}


def test_a_task_that_overtakes_one_of_its_key_is_named() -> None:
    submitted = Submitted(queues={"a": ["first", "never-run", "second", "third"], "b": ["other"]})
    runs = [Run("first", 1, 1, 3.0), Run("first", 2, 1, 9.0), Run("second", 1, 1, 2.0), Run("third", 1, 1, 4.0)]
    verdict = Verdict()

    count_order(verdict, submitted, [*runs, Run("other", 1, 1, 1.0)])

    assert verdict.violations() == {"out_of_order": 1}
    assert verdict.named == {"out_of_order": ["second"]}


def test_effects_are_counted_where_a_kind_has_one() -> None:
    submitted = Submitted({"twice": "quick", "none": "nap", "child": "grind", "refused": "refuse"})
    ends: States = dict.fromkeys(("twice", "none", "child"), ("SUCCESS", None)) | {"refused": ("FAILURE", "permanent")}
    verdict = Verdict()

    count_effects(verdict, submitted, ends, {"twice": 2})

    assert verdict.named == {"duplicate_effects": ["twice"], "missing_effects": ["none"]}


def test_each_target_is_struck_first_and_by_both_signals_and_a_spared_one_never() -> None:
    drawn = list(islice(strikes(random.Random(3)), 100))
    spared = islice(strikes(random.Random(3), frozenset({Target.BROKER})), 100)

    assert {target for target, _ in drawn[:5]} == set(Target)
    assert {number for target, number in drawn if target is Target.BROKER} == {signal.SIGKILL, signal.SIGTERM}
    assert drawn == list(islice(strikes(random.Random(3)), 100))
    assert Target.BROKER not in {target for target, _ in spared}


def test_the_default_times_are_those_of_the_product() -> None:
    told, settings = Plan().times(), Settings.model_fields

    assert float(told["MUSTER_BEAT_SECONDS"]) == settings["beat_seconds"].default
    assert float(told["MUSTER_FENCE_SECONDS"]) == settings["fence_seconds"].default
    assert float(told["MUSTER_LEASE_SECONDS"]) == settings["lease_seconds"].default
