"""Bars on a terminal: what each row shows as its task goes on."""

from __future__ import annotations

import io

import pytest
from muster.cli.follow import Bars, StateColumn
from muster.client import TaskStatus
from muster.client.views import Progress as TaskProgress
from muster.contracts.states import TaskState
from rich.console import Console
from rich.progress import Progress, TextColumn


@pytest.fixture
def progress() -> Progress:
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    return Progress(
        TextColumn("{task.fields[name]}"), StateColumn(), TextColumn("{task.fields[note]}"), console=console
    )


def status(state: TaskState, **fields: object) -> TaskStatus:
    return TaskStatus(task_id="0198f6a2-7d31", status=state, name="greet", **fields)  # type: ignore[arg-type]


def test_a_row_follows_its_task_from_waiting_to_its_end(progress: Progress) -> None:
    bars = Bars(progress)

    bars.show(status(TaskState.PENDING))
    (row,) = progress.tasks
    assert (row.completed, row.fields["state"]) == (0, "PENDING")

    bars.show(status(TaskState.STARTED))
    assert not row.finished

    bars.show(status(TaskState.STARTED, progress=TaskProgress(done=3, total=4, message="encoding")))
    assert (row.completed, row.total, row.fields["note"]) == (3, 4, "3/4 encoding")

    bars.show(status(TaskState.SUCCESS))
    assert row.finished
    assert row.stop_time is not None


def test_a_failure_shows_why(progress: Progress) -> None:
    bars = Bars(progress)
    bars.show(status(TaskState.FAILURE, error={"kind": "permanent", "message": "not an image"}))
    assert progress.tasks[0].fields["note"] == "not an image"


def test_every_task_has_a_row_of_its_own(progress: Progress) -> None:
    bars = Bars(progress)
    for number in range(3):
        bars.show(TaskStatus(task_id=f"t{number}", status=TaskState.PENDING))
    assert len(progress.tasks) == 3


def test_the_state_has_its_colour(progress: Progress) -> None:
    Bars(progress).show(status(TaskState.FAILURE))
    console = progress.console
    console.print(progress.get_renderable())
    assert isinstance(console.file, io.StringIO)
    assert "\x1b[31mFAILURE" in console.file.getvalue()
