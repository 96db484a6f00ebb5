"""Stories about the soft time limit: where a task meets it, what it may still do, and that the hard one comes after."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from muster.adapters.clock import SystemClock
from muster.contracts.catalog import decode_description
from muster.contracts.errors import ConfigurationError, TimeLimitExceeded
from muster.contracts.retry import RetryPolicy
from muster.testing import TaskHarness, memory_stage, wait_until
from muster.worker import Context, SoftTimeLimitExceeded, TaskApp
from muster.worker.outcome import DeadLetter, Outcome, RetryAt, Succeed

SOFT, HARD = 0.05, 30.0
#: What the loop cannot reach in these tests.
LONG = 600.0


async def outcome_of(function: Callable[..., Any], *, soft: float = SOFT, hard: float = HARD) -> Outcome:
    app: TaskApp[None] = TaskApp("media")
    app.task(name="tried", soft_time_limit=soft, time_limit=hard, retry=RetryPolicy(max_retries=0))(function)
    return await TaskHarness(app, None, SystemClock()).run("tried", {})


async def test_a_task_may_return_what_it_has() -> None:
    async def count(ctx: Context[None]) -> int:
        counted = 0
        try:
            while True:
                await asyncio.sleep(0)
                counted += 1
        except SoftTimeLimitExceeded:
            return counted

    outcome = await outcome_of(count)

    assert isinstance(outcome, Succeed)
    assert int(outcome.result) >= 0


async def test_a_task_that_does_not_catch_it_ends_as_timeout_and_names_the_limit() -> None:
    cleaned: list[str] = []

    async def sleep(ctx: Context[None]) -> None:
        try:
            await asyncio.sleep(LONG)
        finally:
            cleaned.append("up")

    outcome = await outcome_of(sleep)

    assert isinstance(outcome, DeadLetter)
    assert (outcome.failure.kind, outcome.failure.error) == ("timeout", "SoftTimeLimitExceeded")
    assert outcome.failure.message == "the task ran longer than its soft time limit of 0.05 s"
    assert "in sleep" in outcome.traceback
    assert cleaned == ["up"]


async def test_it_is_told_once_and_the_hard_limit_ends_a_task_that_goes_on() -> None:
    told: list[BaseException] = []

    async def stubborn(ctx: Context[None]) -> None:
        while True:
            try:
                await asyncio.sleep(LONG)
            except SoftTimeLimitExceeded as error:
                told.append(error)

    outcome = await outcome_of(stubborn, hard=2)

    assert isinstance(outcome, DeadLetter)
    assert outcome.failure.message == "the task ran longer than its hard time limit of 2 s"
    assert len(told) == 1


async def test_a_task_that_ends_in_time_hears_nothing() -> None:
    async def quick(ctx: Context[None]) -> str:
        await asyncio.sleep(0)
        return "done"

    outcome = await outcome_of(quick, soft=HARD / 2)

    assert outcome == Succeed(b'"done"')


async def test_the_other_tasks_of_a_group_are_cancelled_with_it() -> None:
    running: set[str] = set()

    async def wait(name: str) -> None:
        running.add(name)
        try:
            await asyncio.sleep(LONG)
        finally:
            running.discard(name)

    async def grouped(ctx: Context[None]) -> str:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(wait("a"))
                group.create_task(wait("b"))
        except SoftTimeLimitExceeded:
            return "caught"
        return "missed"

    async def gathered(ctx: Context[None]) -> str:
        try:
            await asyncio.gather(wait("c"), wait("d"))
        except SoftTimeLimitExceeded:
            return "caught"
        return "missed"

    assert await outcome_of(grouped) == Succeed(b'"caught"')
    assert await outcome_of(gathered) == Succeed(b'"caught"')
    assert not running


async def test_a_timeout_of_the_tasks_own_stays_its_own() -> None:
    async def patient(ctx: Context[None]) -> str:
        try:
            async with asyncio.timeout(0):
                await asyncio.sleep(LONG)
        except TimeoutError:
            await asyncio.sleep(0)
        try:
            async with asyncio.timeout(LONG):
                await asyncio.sleep(LONG)
        except SoftTimeLimitExceeded:
            return "both"
        return "one"

    assert await outcome_of(patient) == Succeed(b'"both"')


async def test_a_wait_that_swallows_its_cancellation_does_not_swallow_the_limit() -> None:
    async def deaf() -> str:
        try:
            await asyncio.sleep(LONG)
        except asyncio.CancelledError:
            return "what cancellation?"
        return "slept"

    async def waiting(ctx: Context[None]) -> str:
        try:
            return await asyncio.create_task(deaf())
        except SoftTimeLimitExceeded:
            return "caught"

    assert await outcome_of(waiting) == Succeed(b'"caught"')


async def test_a_limit_met_in_a_group_of_tasks_is_a_timeout_too() -> None:
    async def meets() -> None:
        raise TimeLimitExceeded(1.0, hard=False)

    async def grouped(ctx: Context[None]) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(meets())

    outcome = await outcome_of(grouped)

    assert isinstance(outcome, DeadLetter)
    assert outcome.failure.kind == "timeout"


async def test_a_revocation_that_comes_with_the_limit_wins() -> None:
    app: TaskApp[None] = TaskApp("media")
    runs = asyncio.Event()

    @app.task(soft_time_limit=SOFT, time_limit=HARD)
    async def hold(ctx: Context[None]) -> None:
        runs.set()
        try:
            await asyncio.sleep(LONG)
        except SoftTimeLimitExceeded:
            await asyncio.sleep(LONG)

    async with memory_stage() as stage, stage.worker(app):
        task_id = await stage.submit("hold")
        await runs.wait()
        await stage.revoke(task_id, terminate=True)
        await wait_until(lambda: "Revoked" in stage.said(task_id), "it is revoked")

    assert stage.said(task_id) == ["Started", "Revoked"]


async def test_a_task_out_of_time_is_retried_like_after_any_failure() -> None:
    app: TaskApp[None] = TaskApp("media")

    @app.task(soft_time_limit=SOFT, time_limit=HARD)
    async def slow(ctx: Context[None]) -> None:
        await asyncio.sleep(LONG)

    outcome = await TaskHarness(app, None, SystemClock()).run("slow", {})

    assert isinstance(outcome, RetryAt)
    assert outcome.failure.kind == "timeout"


async def test_the_limit_is_announced() -> None:
    app: TaskApp[None] = TaskApp("media")

    @app.task(soft_time_limit=50, time_limit=60)
    async def noop(ctx: Context[None]) -> None:
        """Nothing."""

    async with memory_stage() as stage, stage.worker(app):
        await wait_until(lambda: bool(stage.records(stage.topics.catalog)), "it is announced")

    said = decode_description(stage.records(stage.topics.catalog)[0].value or b"")
    assert (said.soft_time_limit, said.time_limit) == (50, 60)


@pytest.mark.parametrize("limits", [{"soft_time_limit": 60}, {"soft_time_limit": 0}, {"memory_mb": 0}])
def test_limits_that_cannot_work_are_refused_at_the_declaration(limits: dict[str, Any]) -> None:
    app: TaskApp[None] = TaskApp("media")

    async def noop(ctx: Context[None]) -> None:
        """Nothing."""

    with pytest.raises(ConfigurationError, match="task noop"):
        app.task(time_limit=60, **limits)(noop)
