"""Revocations outlive everything: delayed tasks that were taken back never run, and those due far away show it soon."""

from __future__ import annotations

import pytest

from . import revoked_story
from .api import Api, wait_until
from .system import System

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.e2e]
TASKS = 80
MONTH_SECONDS = 30 * 86_400


def test_delayed_tasks_revoked_by_id_and_by_filter_never_run_though_everything_is_stopped_and_started(
    system: System, api: Api
) -> None:
    told = revoked_story.tell(system, api, TASKS, due_seconds=4, patience=90)

    assert (told.revoked, told.executions) == (TASKS, 0)


def test_a_task_due_in_a_month_shows_soon_that_it_is_revoked_without_any_worker(system: System, api: Api) -> None:
    if not api.client.get("/catalog").json()["task_types"]:
        system.practice().start().drain()
        api.knows("nap")
    task_id = api.submit("nap", {"seconds": 0}, countdown=MONTH_SECONDS)

    first, second = api.revoke(task_id).status_code, api.revoke(task_id).status_code

    status = api.ended(task_id)
    assert (first, second) in ((202, 202), (202, 409)), "twice is no harm; once it has ended, it says so"
    assert (status["status"], status["error"]["kind"]) == ("REVOKED", "revoked")
    assert status["revoke_requested_at"], "its order stands until its record has come out of the wheel"
    wait_until(lambda: api.revoke(task_id).status_code == 409, "a third time it has ended")
    assert system.query("SELECT count(*) FROM muster.revocations WHERE requested_at IS NOT NULL") == 1
