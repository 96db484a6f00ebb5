"""Drawing in a child process: pages are told while it draws, and when the task is cancelled the child dies."""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from muster.adapters.processes import ProcessCompute
from muster.contracts.envelope import TaskRecord
from muster.worker.context import Context
from reports_service.domain.grades import GradeLine, GradesData, render_grades
from reports_service.domain.letterhead import Unit
from reports_service.domain.sheet import About
from reports_service.rendering import render_report


def grades(rows: int) -> GradesData:
    line = GradeLine("S-1", "Cruz, Ana", "Alpha", None, 1, 0, 0, 1.0, 2.0, 3.0, 1.0, 2.0, 3.0, 6.0, 5.0, "F", "Failed")
    unit = Unit("School", "Unit", "Battalion", "Term")
    return GradesData(About("t", "s", "a", "now"), unit, "all", 1, (30, 30, 40), {"5.00": rows}, [line] * rows)


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def context(compute: ProcessCompute, told: asyncio.Queue[tuple[float, float | None]]) -> Context[Any]:
    async def report(done: float, total: float | None, message: str) -> None:
        told.put_nowait((done, total))

    return Context(TaskRecord(task_id="t1", task_type="generate_pdf_report", body=b"{}"), None, compute, report)


async def test_a_cancelled_report_ends_at_once_and_leaves_nothing(temporary: Path) -> None:
    compute, told = ProcessCompute(1), asyncio.Queue[tuple[float, float | None]]()
    try:
        # So long that nobody waits for its end: it is cancelled as soon as it is known to draw.
        running = asyncio.create_task(render_report(context(compute, told), render_grades, grades(200_000)))
        done, pages = await asyncio.wait_for(told.get(), 120)
        assert pages is not None
        assert 0 < done < pages
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(running, 120)

        assert compute.children == 0
        assert os.listdir(temporary) == []
    finally:
        await compute.close()


async def test_a_finished_report_comes_back_whole(temporary: Path) -> None:
    compute, told = ProcessCompute(1), asyncio.Queue[tuple[float, float | None]]()
    try:
        report = await render_report(context(compute, told), render_grades, grades(40))
    finally:
        await compute.close()

    assert report.data.startswith(b"%PDF-")
    assert report.rows == 40
    assert os.listdir(temporary) == []
