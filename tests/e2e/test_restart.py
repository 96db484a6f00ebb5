"""Trackers, workers and whole systems that end in the middle of work and start again: nothing lost, nothing stuck."""

from __future__ import annotations

import json
import uuid

import pytest

from . import pictures
from .api import Api, wait_until
from .foreign import ForeignClient
from .held_host import held_host
from .system import System

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.e2e]
TASKS = 500
PATIENCE_SECONDS = 60.0


def test_a_tracker_that_is_killed_and_drained_in_the_middle_of_500_tasks_loses_none(
    system: System, api: Api, foreign: ForeignClient
) -> None:
    worker = system.practice(MUSTER_SLOTS="8").start()
    tracker = system.tracker
    done_before, runs_before = api.counts("nap")["SUCCESS"], len(system.ledger.runs())

    def done() -> int:
        return api.counts("nap")["SUCCESS"] - done_before

    def runs() -> int:
        return len(system.ledger.runs()) - runs_before

    submitted = submit_naps(system, foreign, TASKS - 100, seconds=0.1)

    # Killed while events stream in, and missing while more tasks are submitted and run.
    wait_until(lambda: done() >= 50, "50 tasks are SUCCESS")
    tracker.kill()
    submitted += submit_naps(system, foreign, 100, seconds=0.1)
    wait_until(lambda: runs() >= 200, "200 runs began")
    tracker.start()
    # Asked to stop while it still catches up.
    wait_until(lambda: done() >= 200, "200 tasks are SUCCESS", PATIENCE_SECONDS)
    assert tracker.drain() == 0
    tracker.start()

    wait_until(lambda: done() == TASKS, "all tasks are SUCCESS", PATIENCE_SECONDS)
    assert api.states(submitted) == {"SUCCESS": TASKS}
    assert all(api.status(task_id)["result"] == "rested" for task_id in submitted[::50])
    assert runs() == TASKS, "a tracker's end runs no task twice"
    assert worker.drain() == 0


def test_a_drained_worker_hands_its_running_task_to_another(system: System, api: Api) -> None:
    first = system.media(MUSTER_GRACE_SECONDS="0.5").start()
    api.knows("compress_and_upload_image")
    with held_host(pictures.jpeg()) as host:
        photo = {"image_data": host.url, "entity_type": "profile_pic", "entity_id": 3}
        task_id = api.submit("compress_and_upload_image", photo)
        wait_until(lambda: host.visits == 1, "the first worker fetches the photo")
        api.wait_for_state(task_id, "STARTED")
        before = api.status(task_id)["worker"]
        second = system.media().start()

        assert first.drain() == 0
        wait_until(lambda: host.visits == 2, "the second worker fetches the photo")
        host.release.set()

        status = api.ended(task_id)
    runs = [
        (run["attempt"], run["delivery"], run["worker"], run["outcome"]) for run in api.details(task_id)["attempts"]
    ]
    assert status["status"] == "SUCCESS"
    assert runs == [
        (1, 1, before, "HANDED_BACK"), (1, 2, status["worker"], "SUCCESS"),
    ], "another worker, and no attempt burnt"  # fmt: skip
    assert status["worker"] != before
    assert second.drain() == 0


def test_a_system_that_is_stopped_and_started_whole_goes_on_where_it_was(
    system: System, api: Api, foreign: ForeignClient
) -> None:
    worker = system.practice(MUSTER_SLOTS="4", MUSTER_GRACE_SECONDS="0.5").start()
    api.knows("nap")
    programs = [worker, system.scheduler, system.tracker]
    begun = len(system.ledger.runs())
    # Some tasks run, some wait in their lane, some wait for their due time.
    submitted = submit_naps(system, foreign, 12, seconds=2)
    submitted += [api.submit("nap", {"seconds": 0}, countdown=number) for number in (1, 4, 8)]
    wait_until(lambda: len(system.ledger.runs()) >= begun + 6, "the second four run")

    for program in programs:
        assert program.drain() == 0
    for program in reversed(programs):
        program.start()

    wait_until(lambda: api.states(submitted) == {"SUCCESS": 15}, "all tasks are SUCCESS", PATIENCE_SECONDS)
    extra = len(system.ledger.runs()) - begun - 15
    assert extra <= 4, "only what ran at the time ran again"
    assert worker.drain() == 0


def submit_naps(system: System, foreign: ForeignClient, count: int, seconds: float) -> list[str]:
    """Past the API, which may be away."""
    task_ids = [uuid.uuid4().hex for _ in range(count)]
    for task_id in task_ids:
        value = json.dumps({"seconds": seconds}).encode()
        foreign.write(system.topics.lane("notify"), value, {"ce_id": task_id, "ce_type": "nap"})
    return task_ids
