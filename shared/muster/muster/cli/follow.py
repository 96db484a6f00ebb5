"""Shows tasks until they end: live bars on a terminal, one line per change elsewhere, JSON lines for machines."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

import msgspec
from rich.console import RenderableType
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn, TimeElapsedColumn

from muster.cli.output import out, print_json, state_text
from muster.client import AsyncResult, TaskStatus

_LOOK_SECONDS, _LOOK_SECONDS_EACH = 0.5, 0.05


class Display(Protocol):
    """Told of every look at a task; repeats included."""

    def show(self, status: TaskStatus) -> None: ...


async def follow(results: Sequence[AsyncResult], display: Display, *, timeout: float | None = None) -> list[TaskStatus]:
    """Wait for all of them, showing each change.

    Raises:
        WaitTimeout, UnknownTask: of the first task that has it.
    """
    # Many tasks are looked at less often, so that one person's screen stays far below the API's rate limit.
    every = max(_LOOK_SECONDS, len(results) * _LOOK_SECONDS_EACH)
    waits = [asyncio.ensure_future(result.wait(timeout, on_progress=display.show, every=every)) for result in results]
    try:
        return await asyncio.gather(*waits)
    finally:
        for wait in waits:
            wait.cancel()


class JsonLines:
    """One JSON document per change."""

    def __init__(self) -> None:
        self._last: dict[str, bytes] = {}

    def show(self, status: TaskStatus) -> None:
        encoded = msgspec.json.encode(status)
        if self._last.get(status.task_id) != encoded:
            self._last[status.task_id] = encoded
            print_json(status)


class Lines:
    """One line of text per change of state or progress message, for pipes and logs."""

    def __init__(self) -> None:
        self._last: dict[str, str] = {}

    def show(self, status: TaskStatus) -> None:
        line = f"{status.task_id}  {status.status.value:8}  {_sentence(status)}".rstrip()
        if self._last.get(status.task_id) != line:
            self._last[status.task_id] = line
            out.print(line)


class Bars:
    """A bar per task, redrawn in place."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._rows: dict[str, TaskID] = {}

    def show(self, status: TaskStatus) -> None:
        if status.task_id not in self._rows:
            self._rows[status.task_id] = self._progress.add_task("", total=None, state="", name="", note="")
        row = self._rows[status.task_id]
        done, total = _measure(status)
        self._progress.update(
            row,
            completed=done,
            total=total,
            state=status.status.value,
            name=f"{status.name or 'task'} {status.task_id[-8:]}",
            note=_sentence(status),
        )
        if status.ready:
            self._progress.stop_task(row)


class StateColumn(ProgressColumn):
    """The task's state in its colour."""

    def render(self, task: Task) -> RenderableType:
        text = state_text(task.fields["state"])
        text.pad_right(8 - len(text))
        return text


def display_for(*, json: bool) -> tuple[AbstractContextManager[object], Display]:
    """The display that suits where the output goes, and what must be open while it is used."""
    if json:
        return nullcontext(), JsonLines()
    if not out.is_terminal:
        return nullcontext(), Lines()
    progress = Progress(
        TextColumn("{task.fields[name]}", markup=False),
        StateColumn(),
        BarColumn(bar_width=24),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}", markup=False),
        console=out,
    )
    return progress, Bars(progress)


def _measure(status: TaskStatus) -> tuple[float, float | None]:
    """Done and total for a bar: an ended task is a full one; without a total it only moves."""
    if status.ready:
        return 1, 1
    if status.status == "STARTED" and status.progress is not None and status.progress.total:
        return min(status.progress.done, status.progress.total), status.progress.total
    return 0, None


def _sentence(status: TaskStatus) -> str:
    if status.status in ("FAILURE", "REVOKED"):
        return status.error_message
    if status.status == "RETRY" and status.next_attempt_at is not None:
        return f"attempt {status.attempt} at {status.next_attempt_at:%H:%M:%S} UTC: {status.error_message}"
    if status.status == "STARTED" and status.progress is not None:
        total = f"/{status.progress.total:g}" if status.progress.total else ""
        return f"{status.progress.done:g}{total} {status.progress.message}".rstrip()
    return "revocation requested" if status.revoke_requested_at and not status.ready else ""
