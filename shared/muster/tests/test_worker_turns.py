"""Stories about tasks that may not start: not their turn, or their type is paused. The tracker is played here."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial

import pytest
from muster.adapters.clock import SystemClock
from muster.adapters.memory import MemoryBroker
from muster.contracts.envelope import TaskRecord, parse_task
from muster.contracts.events import Started, encode_json
from muster.contracts.pauses import Pause, pause_key, paused_type
from muster.contracts.retry import RetryPolicy
from muster.testing import Stage, memory_stage, wait_until
from muster.worker.app import TaskApp
from muster.worker.context import Context


def make_app() -> TaskApp[None]:
    app: TaskApp[None] = TaskApp("media")

    @app.task()
    async def quick(ctx: Context[None]) -> str:
        return "done"

    @app.task(retry=RetryPolicy(max_retries=1, base=60.0))
    async def fail(ctx: Context[None]) -> None:
        raise OSError("broken")

    return app


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with memory_stage() as stage:
        yield stage


async def pause(stage: Stage, task_type: str, *, resume: bool = False) -> None:
    value = None if resume else encode_json(Pause(pauses=task_type, at=SystemClock().now()))
    await stage.put(stage.topics.control, value, [], key=pause_key(task_type))


def at_the_door(stage: Stage) -> list[TaskRecord]:
    return [parse_task(record.headers, record.value) for record in stage.records(stage.topics.keyed)]


async def waiting(stage: Stage, count: int) -> list[TaskRecord]:
    """The first tasks that the worker wrote to the door of the waiting room."""
    await wait_until(lambda: len(stage.records(stage.topics.keyed)) >= count, f"{count} tasks came to the door")
    return at_the_door(stage)


def taken(stage: Stage, task_id: str) -> bool:
    return bool(stage.said(task_id)) or task_id in {task.task_id for task in at_the_door(stage)}


async def runs_after_resume(stage: Stage) -> None:
    for _ in range(1000):
        task_id = await stage.submit("quick")
        await wait_until(partial(taken, stage, task_id), "it is taken")
        if stage.said(task_id):
            return
    raise AssertionError("the worker never heard of the resume")


async def test_a_keyed_task_that_nobody_called_goes_to_the_waiting_room(stage: Stage) -> None:
    async with stage.worker(make_app()):
        uncalled = await stage.submit("quick", order_key="cadet-7", extra=(("x-own", b"kept"),), handover=2)
        called = await stage.submit("quick", order_key="cadet-8", sequenced=1)
        await wait_until(lambda: "Succeeded" in stage.said(called), "the called one has run")
        [task] = await waiting(stage, 1)

    assert stage.said(uncalled) == []
    assert (task.task_id, task.route, task.key) == (uncalled, stage.lane, b"cadet-7")
    assert (task.attempt, task.delivery, task.sequenced, task.handover) == (1, 1, 0, 0)
    assert task.extra == (("x-own", b"kept"),)
    topic, _, place = (task.left or "").partition("/")
    assert (topic, place.count("/")) == (stage.lane, 1)


async def test_tasks_of_a_paused_type_wait_and_others_run(stage: Stage) -> None:
    await pause(stage, "quick")
    async with stage.worker(make_app(), slots=1):
        held = [await stage.submit("quick", attempt=2) for _ in range(20)]
        free = await stage.submit("fail")
        await wait_until(lambda: bool(stage.records(stage.topics.retry)), "the other type has run")
        tasks = await waiting(stage, 20)
        await pause(stage, "quick", resume=True)
        # What the worker takes before it has heard of the resume goes to the door once more.
        await runs_after_resume(stage)

    assert sorted(task.task_id for task in tasks) == sorted(held)
    assert all((task.attempt, task.delivery, task.route) == (2, 1, stage.lane) for task in tasks)
    assert [stage.said(task_id) for task_id in held] == [[]] * 20
    assert stage.said(free) == ["Started"]


async def test_a_called_task_stays_called_through_its_retry_and_its_claim_says_which_call(stage: Stage) -> None:
    async with stage.worker(make_app()):
        task_id = await stage.submit("fail", order_key="cadet-7", sequenced=3)
        await wait_until(lambda: bool(stage.records(stage.topics.retry)), "it is to be tried again")

    [record] = stage.records(stage.topics.retry)
    assert parse_task(record.headers, record.value).sequenced == 3
    assert [event.sequenced for event in stage.events(task_id) if isinstance(event, Started)] == [3]


@pytest.mark.parametrize(("order_key", "said"), [(None, ["Started", "Succeeded"]), ("k", ["Started", "Abandoned"])])
async def test_a_keyed_success_is_told_only_when_its_record_is_nobody_elses(
    stage: Stage, order_key: str | None, said: list[str]
) -> None:
    broker = stage.broker
    assert isinstance(broker, MemoryBroker)
    async with stage.worker(make_app()):
        group = stage.topics.group("media")
        await wait_until(lambda: any(m.assignment() for m in broker.members(group)), "the worker has its partitions")
        member = broker.members(group)[0]
        # Given: the group has moved on without the worker knowing, so its next commit is refused.
        broker.expel(member, rejoin_after=None)
        task_id = await stage.submit("quick", order_key=order_key, sequenced=1)
        await wait_until(lambda: len(stage.said(task_id)) == 2, "its end is told, or its claim taken back")
        first = stage.said(task_id)[:2]
        await broker.readmit(member)
        await wait_until(lambda: "Succeeded" in stage.said(task_id), "it has succeeded")

    assert first == said


def test_the_key_of_a_pause_is_that_of_no_task() -> None:
    assert paused_type(pause_key("generate_pdf_report")) == "generate_pdf_report"
    assert paused_type(b"generate_pdf_report") is None
    assert paused_type(None) is None
