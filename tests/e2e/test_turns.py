"""Order keys and a paused task type on the running system: retries and a killed worker change no order."""

from __future__ import annotations

from itertools import pairwise

import pytest

from .api import Api, wait_until
from .system import System

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.e2e]
KEYS = ("cadet-1", "cadet-2", "cadet-3")
TASKS = 20
#: The dead member's Kafka session, the lease, and sixty tasks one after another.
PATIENCE_SECONDS = 180.0


def test_tasks_of_a_key_run_in_their_order_through_retries_and_a_killed_worker(system: System, api: Api) -> None:
    worker = system.practice(MUSTER_SLOTS="8").start()
    api.knows("stumble")
    # Some of them fail once; the next of their key waits for their second attempt, and other keys do not.
    submitted: dict[str, list[str]] = {key: [] for key in KEYS}
    for number in range(TASKS):
        for key in KEYS:
            times = 1 if number % 5 == 1 else 0
            submitted[key].append(api.submit("stumble", {"times": times}, order_key=key))

    wait_until(lambda: len(system.ledger.runs()) >= TASKS, "a third of them has run", PATIENCE_SECONDS)
    worker.kill()
    worker.start()

    wait_until(lambda: api.counts("stumble")["SUCCESS"] == TASKS * len(KEYS), "all tasks are SUCCESS", PATIENCE_SECONDS)
    runs = system.ledger.runs()
    for tasks in submitted.values():
        of_key = [run for run in runs if run.task_id in tasks]
        starts = list(dict.fromkeys(run.task_id for run in of_key))
        assert starts == tasks
        # Nobody began before the last run of the one in front had begun.
        assert all(tasks.index(a.task_id) <= tasks.index(b.task_id) for a, b in pairwise(of_key))


def test_no_task_of_a_paused_type_starts_until_it_is_resumed(system: System, api: Api) -> None:
    api.knows("stumble")
    before = len(system.ledger.runs())
    assert api.client.post("/task-types/nap/pause", json={"force": True}).is_success
    held = [api.submit("nap", {"seconds": 0}) for _ in range(30)]
    free = api.submit("stumble", {"times": 0})
    wait_until(lambda: api.state(free) == "SUCCESS", "another type runs", PATIENCE_SECONDS)
    wait_until(
        lambda: system.query("SELECT count(*) FROM muster.turns WHERE task_type = 'nap'") == len(held),
        "all of them wait for the resume", PATIENCE_SECONDS,
    )  # fmt: skip
    assert api.states(held) == {"PENDING": len(held)}
    assert api.status(held[0])["paused"] is True

    # The pause outlives every process.
    system.tracker.kill()
    system.tracker.start()
    late = api.submit("nap", {"seconds": 0})
    assert {run.task_id for run in system.ledger.runs()[before:]} == {free}

    assert api.client.post("/task-types/nap/resume").is_success
    wait_until(lambda: api.states([*held, late]) == {"SUCCESS": len(held) + 1}, "all of them run", PATIENCE_SECONDS)
    assert {run.task_id for run in system.ledger.runs()[before:]} == {free, late, *held}
