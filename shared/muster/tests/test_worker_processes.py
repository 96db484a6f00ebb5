"""Stories about tasks that run in child processes: results, limits, revocations, and a child that dies."""

from __future__ import annotations

import importlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from muster.adapters.processes import ProcessCompute
from muster.contracts.envelope import parse_task
from muster.testing import Stage, memory_stage, wait_until
from muster.worker.app import TaskApp

#: A module of its own, because a child imports what it runs by name.
TASKS = """
import os, signal, time
from pathlib import Path
from pydantic import BaseModel
from muster.worker import Context, ProcessContext, TaskApp

app: TaskApp[None] = TaskApp("media")

class Where(BaseModel):
    file: str

@app.task(runs_in="process")
def tell(ctx: ProcessContext, params: Where) -> dict[str, object]:
    return {"task": ctx.task_id, "pid": os.getpid(), "file": params.file}

@app.task(runs_in="process", time_limit=2.0)
def too_slow(ctx: ProcessContext, params: Where) -> None:
    Path(params.file).write_text(str(os.getpid()))
    time.sleep(600)

@app.task(runs_in="process")
def hold(ctx: ProcessContext, params: Where) -> None:
    Path(params.file).write_text(str(os.getpid()))
    time.sleep(600)

@app.task(runs_in="process")
def deaf(ctx: ProcessContext, params: Where) -> None:
    # One call into C that holds the interpreter's lock: no signal handler and no other thread of Python gets a turn.
    Path(params.file).write_text(str(os.getpid()))
    sum(range(10**13))

@app.task(runs_in="process")
def die(ctx: ProcessContext, params: Where) -> None:
    os.kill(os.getpid(), signal.SIGKILL)

def square(number: int) -> int:
    return number * number

@app.task()
async def compute(ctx: Context[None], params: Where) -> int:
    return await ctx.compute(square, 12)
"""


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with memory_stage() as stage:
        stage.compute = ProcessCompute(2)
        yield stage


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TaskApp[Any]:
    (tmp_path / "process_tasks.py").write_text(TASKS)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "process_tasks", raising=False)
    declared: TaskApp[Any] = importlib.import_module("process_tasks").app
    return declared


def alive(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"


async def test_a_blocking_task_runs_in_a_child_and_its_result_comes_back(stage: Stage, app: TaskApp[Any]) -> None:
    async with stage.worker(app):
        task_id = await stage.submit("tell", {"file": "a"})
        await wait_until(lambda: "Succeeded" in stage.said(task_id), "it has succeeded")

    result = stage.result(task_id)
    assert (result["task"], result["file"]) == (task_id, "a")


async def test_a_task_of_the_loop_computes_in_a_child(stage: Stage, app: TaskApp[Any]) -> None:
    async with stage.worker(app):
        task_id = await stage.submit("compute", {"file": "a"})
        await wait_until(lambda: "Succeeded" in stage.said(task_id), "it has succeeded")

    assert stage.result(task_id) == 144


async def test_the_time_limit_kills_the_child(stage: Stage, app: TaskApp[Any], tmp_path: Path) -> None:
    async with stage.worker(app):
        # A child that is up already: on a busy machine its start alone may take the time that is allowed.
        warm = await stage.submit("tell", {"file": "a"})
        await wait_until(lambda: "Succeeded" in stage.said(warm), "a child is up")
        await stage.submit("too_slow", {"file": str(tmp_path / "pid")})
        await wait_until(lambda: bool(stage.records(stage.topics.retry)), "a retry record was written")

        failure = parse_task(stage.records(stage.topics.retry)[0].headers, b"").failure
        assert failure is not None
        assert failure.kind == "timeout"
        pid = int((tmp_path / "pid").read_text())
        await wait_until(lambda: not alive(pid), "the child is gone")


@pytest.mark.parametrize("task_type", ["hold", "deaf"], ids=["asleep", "busy in C"])
async def test_a_terminating_revocation_kills_the_child(
    stage: Stage, app: TaskApp[Any], tmp_path: Path, task_type: str
) -> None:
    async with stage.worker(app):
        task_id = await stage.submit(task_type, {"file": str(tmp_path / "pid")})
        await wait_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text() != "", "it runs")
        await stage.revoke(task_id, terminate=True)
        pid = int((tmp_path / "pid").read_text())
        await wait_until(lambda: "Revoked" in stage.said(task_id) and not alive(pid), "the child is gone")
        after = await stage.submit("tell", {"file": "b"})
        await wait_until(lambda: "Succeeded" in stage.said(after), "the worker is well")


async def test_a_child_that_dies_costs_an_attempt_and_not_the_worker(stage: Stage, app: TaskApp[Any]) -> None:
    async with stage.worker(app):
        await stage.submit("die", {"file": "a"})
        await wait_until(lambda: bool(stage.records(stage.topics.retry)), "a retry record was written")
        after = await stage.submit("tell", {"file": "b"})
        await wait_until(lambda: "Succeeded" in stage.said(after), "the worker lives")

    failure = parse_task(stage.records(stage.topics.retry)[0].headers, b"").failure
    assert failure is not None
    assert failure.kind == "error"
