"""Taking tasks back: before they start, while they run, after they ended, and by people who may not."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator

import httpx
import pytest

from .api import Api
from .cancelled_story import READING, REPORT, Kind, on_stage, tell
from .program import Program
from .system import System

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.e2e]
#: Nobody waits for the end of such a nap.
LONG = {"seconds": 300}
#: Promised are 2 s, which an idle machine keeps; here a cancelled task is told from one that was waited for.
CANCEL_SECONDS = 60.0


@pytest.fixture
def worker(system: System, api: Api) -> Iterator[Program]:
    """A practice worker that hands back at once what it has not finished."""
    program = system.practice(MUSTER_GRACE_SECONDS="0", MUSTER_SLOTS="8").start()
    api.knows("nap")
    yield program
    program.stop()


def test_a_task_revoked_while_no_worker_runs_never_starts(system: System, api: Api) -> None:
    # A task type is known once a worker has announced it.
    system.practice().start().drain()
    api.knows("nap")
    task_id = api.submit("nap", {"seconds": 0})
    assert api.revoke(task_id).status_code == httpx.codes.ACCEPTED
    pending = api.status(task_id)
    assert pending["status"] == "PENDING", "what is shown is what is known: no worker has confirmed it yet"
    assert pending["revoke_requested_at"]

    worker = system.practice().start()

    status = api.ended(task_id)
    assert (status["status"], status["error"]["kind"]) == ("REVOKED", "revoked")
    assert status["started_at"] is None
    assert system.ledger.notes_of(task_id) == []
    assert worker.drain() == 0


def test_a_running_task_is_cancelled_at_once_when_asked_to_terminate(system: System, api: Api, worker: Program) -> None:
    task_id = api.submit("nap", LONG)
    api.wait_for_state(task_id, "STARTED")

    begun = time.monotonic()
    answer = api.revoke(task_id, terminate=True)
    status = api.ended(task_id)

    assert time.monotonic() - begun < CANCEL_SECONDS
    assert answer.json() == {"message": "revocation requested", "task_id": task_id, "terminated": True}
    assert (status["status"], status["error"]["message"]) == ("REVOKED", "it was revoked")
    assert system.ledger.notes_of(task_id) == ["began"]
    # Its slot is free again, and the worker well.
    assert api.ended(api.submit("nap", {"seconds": 0}))["status"] == "SUCCESS"


@pytest.mark.parametrize("kind", [REPORT, READING], ids=lambda kind: kind.name)
def test_a_long_task_taken_back_in_the_middle_is_revoked_and_its_children_stop(
    system: System, api: Api, kind: Kind
) -> None:
    """The short form of cancelled.py."""
    with on_stage(system, api, kind) as scene:
        told = tell(scene, kind)

    # That both came at all is checked here; how soon, on a machine with nothing else to do, by the command.
    assert told.state == "REVOKED"
    assert system.query("SELECT count(*) FROM notifications WHERE type LIKE 'batch_certificate%'") == 0


def test_a_running_task_goes_on_when_not_asked_to_terminate(system: System, api: Api, worker: Program) -> None:
    task_id = api.submit("nap", {"seconds": 1.5})
    api.wait_for_state(task_id, "STARTED")

    assert api.revoke(task_id).status_code == httpx.codes.ACCEPTED

    assert api.ended(task_id)["status"] == "SUCCESS"
    assert system.ledger.notes_of(task_id) == ["began", "ended"]


def test_a_revocation_outlives_the_workers_that_heard_it(system: System, api: Api, worker: Program) -> None:
    task_id = api.submit("nap", {"seconds": 0}, countdown=4)
    assert api.revoke(task_id).status_code == httpx.codes.ACCEPTED

    assert worker.drain() == 0
    worker.start()

    assert api.ended(task_id)["status"] == "REVOKED"
    assert system.ledger.notes_of(task_id) == []


def test_an_ended_task_cannot_be_revoked_and_an_unknown_one_is_not_found(api: Api, worker: Program) -> None:
    task_id = api.submit("nap", {"seconds": 0})
    api.ended(task_id)

    ended, unknown = api.revoke(task_id), api.revoke(uuid.uuid4().hex)

    assert (ended.status_code, ended.json()["code"]) == (409, "CONFLICT")
    assert ended.json()["message"] == "the task has ended already: SUCCESS"
    assert (unknown.status_code, unknown.json()["code"]) == (404, "NOT_FOUND")
    assert api.state(task_id) == "SUCCESS"


def test_only_an_admin_may_revoke(system: System, api: Api, worker: Program, cadet: Api) -> None:
    others, own = api.submit("nap", LONG), cadet.submit("nap", LONG)
    api.wait_for_state(own, "STARTED")

    refused = [cadet.revoke(task_id, terminate=True).status_code for task_id in (others, own)]

    assert refused == [403, 403]
    assert cadet.status(others) == {}, "somebody else's task does not exist for a cadet"
    assert cadet.state(own) == "STARTED"
    for task_id in (others, own):
        api.revoke(task_id, terminate=True)
        assert api.ended(task_id)["status"] == "REVOKED"
