"""A worker killed in the middle of 200 tasks and started again: nothing is lost, and extra runs are few and counted."""

from __future__ import annotations

import pytest

from . import pictures
from .api import Api, wait_until
from .system import CADETS, System

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.e2e]
COMPRESS = "compress_and_upload_image"
TASKS = 200
SLOTS = 16
#: The dead member's Kafka session, the lease, and the work itself.
PATIENCE_SECONDS = 90.0


def test_every_task_of_a_worker_killed_twice_reaches_success(
    system: System, api: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    worker = system.practice(MUSTER_SLOTS=str(SLOTS)).start()
    api.knows("nap")
    submitted = [api.submit("nap", {"seconds": 0.4}) for _ in range(TASKS)]

    # When it is killed, twice, while its slots are full and others wait.
    for begun in (TASKS // 5, TASKS // 2):
        wait_until(lambda begun=begun: len(system.ledger.runs()) >= begun, f"{begun} runs began", PATIENCE_SECONDS)  # type: ignore[misc]
        worker.kill()
        worker.start()

    wait_until(lambda: api.counts("nap")["SUCCESS"] == TASKS, "all tasks are SUCCESS", PATIENCE_SECONDS)
    assert api.states(submitted) == {"SUCCESS": TASKS}
    runs = system.ledger.runs()
    assert {run.task_id for run in runs} == set(submitted)
    extra = len(runs) - TASKS
    tell(capsys, f"{TASKS} tasks, 2 kills of a worker with {SLOTS} slots: 0 lost, {extra} extra runs")
    assert extra <= 2 * SLOTS
    assert {run.attempt for run in runs} == {1}, "a lost worker burns no attempt"


def test_every_photo_of_a_killed_media_worker_reaches_success(
    system: System, api: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    worker = system.media(MUSTER_SLOTS="4").start()
    api.knows(COMPRESS)
    photo = pictures.jpeg(1000, 750)
    submitted = [
        api.submit(COMPRESS, pictures.upload_of(photo, entity_id=number % CADETS + 1)) for number in range(TASKS)
    ]

    wait_until(lambda: api.counts(COMPRESS)["SUCCESS"] >= TASKS // 5, "a fifth is done")
    worker.kill()
    worker.start()

    wait_until(lambda: api.counts(COMPRESS)["SUCCESS"] == TASKS, "all photos are SUCCESS", PATIENCE_SECONDS)
    assert api.states(submitted) == {"SUCCESS": TASKS}
    runs = sum(len(api.details(task_id)["attempts"]) for task_id in submitted)
    tell(capsys, f"{TASKS} photos, 1 kill of the media worker with 4 slots: 0 lost, {runs - TASKS} extra runs")
    assert runs - TASKS <= 4
    with_picture = system.query("SELECT count(*) FROM cadets WHERE profile_pic LIKE 'http%'")
    assert with_picture == CADETS


def tell(capsys: pytest.CaptureFixture[str], figures: str) -> None:
    """Print what was counted, also when the test passes."""
    with capsys.disabled():
        print(f"\n{figures}")  # noqa: T201
