"""Retries and countdowns, told by the API: a task waits for its due time, and never starts before it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from .api import Api
from .system import System

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.e2e]
#: The delay of the task type `stumble`, without jitter.
RETRY_SECONDS = 1.0
#: How late a due task may start on a busy machine; tests/load/wheel_bench.py counts milliseconds.
LATE_SECONDS = 20.0


@pytest.fixture(autouse=True, scope="module")
def _worker(system: System) -> Iterator[None]:
    program = system.practice(MUSTER_SLOTS="20").start()
    yield
    assert program.drain() == 0


def test_a_task_that_fails_twice_shows_retry_and_then_success(system: System, api: Api) -> None:
    api.knows("stumble")
    task_id = api.submit("stumble", {"times": 2})

    api.wait_for_state(task_id, "RETRY")
    waiting = api.status(task_id)
    assert waiting["error"]["kind"] == "error"
    assert waiting["error"]["message"] in ("attempt 1 finds no connection", "attempt 2 finds no connection")
    assert (waiting["ready"], waiting["successful"], waiting["max_attempts"]) == (False, None, 4)

    status = api.ended(task_id)
    assert (status["status"], status["result"], status["attempt"]) == ("SUCCESS", 3, 3)
    runs = api.details(task_id)["attempts"]
    assert [(run["attempt"], run["outcome"]) for run in runs] == [(1, "RETRY"), (2, "RETRY"), (3, "SUCCESS")]
    begun = [note.at for note in system.ledger.notes() if note.task_id == task_id]
    assert all(later - earlier >= RETRY_SECONDS for earlier, later in pairwise(begun)), "never early"


def test_a_task_that_fails_for_ever_ends_after_its_attempts(system: System, api: Api) -> None:
    api.knows("stumble")
    task_id = api.submit("stumble", {"times": 5})

    status = api.ended(task_id)

    assert (status["status"], status["attempt"]) == ("FAILURE", 4)
    assert (status["error"]["kind"], status["error"]["message"]) == ("error", "attempt 4 finds no connection")
    assert len(system.ledger.notes_of(task_id)) == 4


def test_countdown_and_eta_are_never_early(system: System, api: Api) -> None:
    api.knows("nap")
    due: dict[str, float] = {}
    for seconds in (0.3, 0.9, 1.0, 1.7, 2.0, 2.1, 3.3, 4.0, 5.2):
        asked = time.time()
        due[api.submit("nap", {"seconds": 0}, countdown=seconds)] = asked + seconds
        eta = datetime.now(UTC) + timedelta(seconds=seconds)
        due[api.submit("nap", {"seconds": 0}, eta=eta.isoformat())] = eta.timestamp()
    last = list(due)[-1]

    waiting = api.status(last)
    assert (waiting["status"], waiting["started_at"]) == ("PENDING", None)
    assert datetime.fromisoformat(waiting["next_attempt_at"]).timestamp() == pytest.approx(due[last], abs=0.001)

    assert all(api.ended(task_id)["status"] == "SUCCESS" for task_id in due)
    begun = {note.task_id: note.at for note in system.ledger.runs()}
    waits = [begun[task_id] - instant for task_id, instant in due.items()]
    assert min(waits) >= 0, "never early"
    assert max(waits) < LATE_SECONDS


def test_a_task_that_expires_before_it_may_start_is_taken_back(system: System, api: Api) -> None:
    api.knows("nap")
    task_id = api.submit("nap", {"seconds": 0}, countdown=1.5, expires=0.5)

    status = api.ended(task_id)

    assert (status["status"], status["error"]["kind"]) == ("REVOKED", "expired")
    assert system.ledger.notes_of(task_id) == []
