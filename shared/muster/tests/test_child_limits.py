"""What a function in a child process meets at its limits: an interruption, a failed allocation. Real processes."""

from __future__ import annotations

import asyncio
import importlib
import os
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from muster.adapters.processes import ProcessCompute
from muster.contracts.envelope import parse_task
from muster.contracts.errors import MemoryLimitExceeded, SoftTimeLimitExceeded
from muster.contracts.limits import ChildLimits
from muster.testing import Stage, memory_stage, wait_until
from muster.worker.app import TaskApp

#: Far above what an interpreter with our imports takes, far below what the greedy function takes.
LIMIT_MB, GREED_MB = 400, 700

#: A module of its own, because a child imports what it runs by name.
FUNCTIONS = f"""
import os, time
from pathlib import Path
from pydantic import BaseModel
from muster.worker import Context, MemoryLimitExceeded, ProcessContext, RetryPolicy, SoftTimeLimitExceeded, TaskApp

app: TaskApp[None] = TaskApp("media")

def sleep(): time.sleep(600)
def partial(pages):
    done = 0
    try:
        while True:
            done += 1
            time.sleep(0.001)
    except SoftTimeLimitExceeded:
        return min(done, 1)
def stubborn():
    try:
        time.sleep(600)
    except SoftTimeLimitExceeded:
        time.sleep(600)
def greedy(megabytes):
    # Written to, not only reserved.
    taken = [b"x" * (10 * 1024 * 1024) for _ in range(megabytes // 10)]
    return len(taken)
def oom_score(): return int(Path("/proc/self/oom_score_adj").read_text())

class Size(BaseModel):
    megabytes: int = 0

@app.task(runs_in="process", soft_time_limit=3, time_limit=60)
def page(ctx: ProcessContext, params: Size) -> int:
    return partial(1)

@app.task(soft_time_limit=3, time_limit=60)
async def pages(ctx: Context[None], params: Size) -> str:
    try:
        await ctx.compute(sleep)
    except SoftTimeLimitExceeded:
        return f"later: {{await ctx.compute(partial_of_none)}}"
    return "slept"

def partial_of_none(): return 0

@app.task(runs_in="process", memory_mb={LIMIT_MB})
def swallow(ctx: ProcessContext, params: Size) -> int:
    return greedy(params.megabytes)

@app.task(memory_mb={LIMIT_MB}, permanent=(MemoryLimitExceeded,))
async def swallow_at_once(ctx: Context[None], params: Size) -> int:
    return await ctx.compute(greedy, params.megabytes)
"""


@pytest.fixture
def functions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    (tmp_path / "limited_functions.py").write_text(FUNCTIONS)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "limited_functions", raising=False)
    return importlib.import_module("limited_functions")


@pytest.fixture
async def compute(functions: ModuleType) -> AsyncIterator[ProcessCompute]:
    """One child, which has imported the functions: the first import may take longer than a limit here."""
    compute = ProcessCompute(1)
    await compute.run(functions.oom_score)
    yield compute
    await compute.close()


@pytest.fixture
async def stage(compute: ProcessCompute) -> AsyncIterator[Stage]:
    async with memory_stage() as stage:
        stage.compute = compute
        yield stage


def soon(seconds: float = 1.0) -> ChildLimits:
    return ChildLimits(time.monotonic() + seconds, seconds)


async def test_the_soft_limit_interrupts_the_function_and_spares_the_child(
    compute: ProcessCompute, functions: ModuleType
) -> None:
    pid = await compute.run(os.getpid)

    with pytest.raises(SoftTimeLimitExceeded, match=r"soft time limit of 1 s") as raised:
        await compute.run(functions.sleep, limits=soon())

    assert "time.sleep(600)" in str(raised.value.__cause__)
    assert await compute.run(os.getpid) == pid


async def test_a_function_may_return_what_it_has(compute: ProcessCompute, functions: ModuleType) -> None:
    assert await compute.run(functions.partial, 10, limits=soon()) == 1


async def test_the_hard_limit_kills_a_function_that_goes_on(compute: ProcessCompute, functions: ModuleType) -> None:
    with pytest.raises(Exception, match=r"hard time limit of 3 s"):
        await compute.run(functions.stubborn, timeout=3, limits=soon())


async def test_an_alarm_of_one_function_does_not_reach_the_next(compute: ProcessCompute, functions: ModuleType) -> None:
    await compute.run(os.getpid, limits=soon())

    await compute.run(time.sleep, 1.5)


async def test_who_gets_no_child_in_time_is_told_while_it_waits(compute: ProcessCompute, functions: ModuleType) -> None:
    holder = asyncio.create_task(compute.run(functions.sleep))
    await asyncio.sleep(0)

    with pytest.raises(SoftTimeLimitExceeded):
        await compute.run(os.getpid, limits=soon(0.1))

    holder.cancel()
    await asyncio.wait([holder])
    assert await compute.run(abs, -1) == 1


async def test_who_takes_too_much_memory_fails_alone_with_one_sentence(
    compute: ProcessCompute, functions: ModuleType
) -> None:
    pid = await compute.run(os.getpid)

    with pytest.raises(MemoryLimitExceeded, match=f"wanted more than {LIMIT_MB} MB of memory") as raised:
        await compute.run(functions.greedy, GREED_MB, limits=ChildLimits(memory_mb=LIMIT_MB))

    assert "in greedy" in str(raised.value.__cause__)
    # The next one gets a child that holds nothing, and the pool's own limit: none.
    assert await compute.run(os.getpid) != pid
    assert await compute.run(functions.greedy, GREED_MB) == GREED_MB // 10


async def test_the_pools_own_limit_holds_for_every_function_that_names_none(functions: ModuleType) -> None:
    compute = ProcessCompute(1, memory_mb=LIMIT_MB)
    try:
        assert await compute.run(functions.greedy, 100) == 10
        with pytest.raises(MemoryLimitExceeded):
            await compute.run(functions.greedy, GREED_MB)
        assert await compute.run(functions.greedy, GREED_MB, limits=ChildLimits(memory_mb=2 * GREED_MB))
    finally:
        await compute.close()


async def test_the_kernel_is_told_to_end_a_child_before_its_worker(
    compute: ProcessCompute, functions: ModuleType
) -> None:
    assert await compute.run(functions.oom_score) > functions.oom_score()


async def test_a_task_in_a_child_returns_what_it_has_at_its_soft_limit(stage: Stage, functions: ModuleType) -> None:
    async with stage.worker(functions.app):
        task_id = await stage.submit("page", {})
        await wait_until(lambda: "Succeeded" in stage.said(task_id), "it has succeeded", 30)

    assert stage.result(task_id) == 1


async def test_a_task_whose_function_met_the_soft_limit_may_compute_on(stage: Stage, functions: ModuleType) -> None:
    async with stage.worker(functions.app):
        task_id = await stage.submit("pages", {})
        await wait_until(lambda: "Succeeded" in stage.said(task_id), "it has succeeded", 30)

    assert stage.result(task_id) == "later: 0"


async def test_a_greedy_task_costs_an_attempt_while_the_others_go_on(stage: Stage, functions: ModuleType) -> None:
    async with stage.worker(functions.app):
        modest = [await stage.submit("swallow", {"megabytes": 10}) for _ in range(3)]
        await stage.submit("swallow", {"megabytes": GREED_MB})
        final = await stage.submit("swallow_at_once", {"megabytes": GREED_MB})
        modest += [await stage.submit("swallow", {"megabytes": 10}) for _ in range(3)]
        await wait_until(lambda: all("Succeeded" in stage.said(task_id) for task_id in modest), "the modest end", 30)
        await wait_until(lambda: bool(stage.records(stage.topics.retry)), "the greedy one is to be retried", 30)
        await wait_until(lambda: bool(stage.records(stage.topics.dead_letter)), "the declared one is final", 30)

    failure = _failure_of_only(stage, stage.topics.retry)
    assert (failure.kind, failure.error) == ("error", "MemoryLimitExceeded")
    [letter] = stage.records(stage.topics.dead_letter)
    assert dict(letter.headers)["ce_id"] == final.encode()


def _failure_of_only(stage: Stage, topic: str) -> Any:
    [record] = stage.records(topic)
    return parse_task(record.headers, record.value).failure


def test_a_task_app_declares_its_limits(functions: ModuleType) -> None:
    app: TaskApp[None] = functions.app

    assert (app.tasks["swallow"].memory_mb, app.tasks["page"].soft_time_limit) == (LIMIT_MB, 3)
