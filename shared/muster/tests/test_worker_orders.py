"""Stories about taking tasks back by rule, by round, and at the moment they begin; on the log in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import pytest
from muster.adapters.clock import SystemClock
from muster.contracts.control import Order, Revocation, RevocationRule
from muster.contracts.events import Revoked, encode_json
from muster.ports import Record
from muster.testing import Stage, memory_stage, wait_until
from muster.worker.app import TaskApp
from muster.worker.context import Context
from muster.worker.control import Control

CLOCK = SystemClock()


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with memory_stage() as stage:
        yield stage


@pytest.fixture
def ran() -> list[str]:
    """Ids of the tasks whose function began."""
    return []


@pytest.fixture
def app(ran: list[str]) -> TaskApp[None]:
    app: TaskApp[None] = TaskApp("media")

    @app.task()
    async def note(ctx: Context[None]) -> None:
        ran.append(ctx.task_id)

    @app.task()
    async def other(ctx: Context[None]) -> None:
        ran.append(ctx.task_id)

    @app.task()
    async def wait_for_ever(ctx: Context[None]) -> None:
        ran.append(ctx.task_id)
        await asyncio.sleep(3600)

    return app


async def order(stage: Stage, said: Order) -> None:
    await stage.put(stage.topics.control, encode_json(said), [], key=said.key)


def rule(**changes: Any) -> RevocationRule:
    return RevocationRule(rule_id="r", at=CLOCK.now(), by=3, **changes)


def ended(stage: Stage, task_id: str) -> Callable[[], bool]:
    return lambda: bool({"Succeeded", "Revoked"} & set(stage.said(task_id)))


async def test_a_rule_takes_back_what_was_there_and_fits_and_nothing_else(
    stage: Stage, app: TaskApp[None], ran: list[str]
) -> None:
    early = CLOCK.now() - timedelta(seconds=1)
    fits = [await stage.submit("note", submitted_at=early) for _ in range(5)]
    unfit = await stage.submit("other", submitted_at=early)
    await order(stage, rule(task_type="note"))
    later = await stage.submit("note", submitted_at=CLOCK.now() + timedelta(seconds=1))

    async with stage.worker(app):
        for task_id in [*fits, unfit, later]:
            await wait_until(ended(stage, task_id), "every task was looked at")

    assert sorted(ran) == sorted([unfit, later])
    assert {event.by for task_id in fits for event in stage.events(task_id) if isinstance(event, Revoked)} == {3}


async def test_a_terminating_rule_stops_what_runs(stage: Stage, app: TaskApp[None], ran: list[str]) -> None:
    async with stage.worker(app):
        running = await stage.submit("wait_for_ever", submitter=5)
        others = await stage.submit("wait_for_ever", submitter=6)
        await wait_until(lambda: len(ran) == 2, "both run")
        await order(stage, rule(submitter=5, terminate=True))
        await wait_until(ended(stage, running), "it was stopped")
        assert stage.said(others) == ["Started"]
        await stage.revoke(others, terminate=True)
        await wait_until(ended(stage, others), "the other one too")

    assert stage.said(running) == ["Started", "Revoked"]


async def test_what_is_redriven_after_its_revocation_runs(stage: Stage, app: TaskApp[None], ran: list[str]) -> None:
    await order(stage, Revocation(task_id="again", at=CLOCK.now()))
    async with stage.worker(app):
        await stage.submit("note", task_id="again", attempt=2)
        await wait_until(ended(stage, "again"), "the round that was taken back was looked at")
        assert ran == []
        await stage.submit("note", task_id="again", redrive=1)
        await wait_until(lambda: "Succeeded" in stage.said("again"), "the next round ran")

    assert stage.said("again") == ["Revoked", "Started", "Succeeded"]


async def test_a_confirmation_names_the_record_that_was_in_hand(stage: Stage, app: TaskApp[None]) -> None:
    await stage.revoke("met")
    async with stage.worker(app):
        await stage.submit("note", task_id="met")
        await wait_until(ended(stage, "met"), "it was looked at")

    [event] = stage.events("met")
    assert isinstance(event, Revoked)
    assert (event.topic, event.offset, event.due) == (stage.lane, 0, None)


async def test_withdrawn_orders_leave_nothing_behind(stage: Stage) -> None:
    heard: list[Order] = []
    control = Control(stage.broker, stage.topics, heard.append)
    await order(stage, rule(task_type="note"))
    for number in range(100):
        await stage.revoke(f"task-{number}")
    admin = stage.broker.admin()
    await control.start(admin)
    assert control.held == 101
    following = asyncio.create_task(control.follow())

    for key in (b"rule:r", *(b"task-%d" % number for number in range(100))):
        await stage.put(stage.topics.control, None, [], key=key)

    await wait_until(lambda: control.held == 0, "everything was withdrawn")
    following.cancel()
    await control.stop()
    assert len(heard) == 101


async def test_an_order_heard_before_the_function_begins_keeps_it_from_beginning_and_frees_its_slot(
    stage: Stage, app: TaskApp[None], ran: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given: the order comes in between the look at the control topic and the first step of the function.
    looks: list[bool] = []

    def order_against(control: Control, task: Any, record: Record, started: Any = None) -> Order | None:
        looks.append(started is not None)
        late = Revocation(task_id="late", at=CLOCK.now())
        return late if task.task_id == "late" and started is not None else None

    monkeypatch.setattr(Control, "order_against", order_against)
    async with stage.worker(app, slots=1):
        await stage.submit("note", task_id="late")
        await stage.submit("note", task_id="next")
        await wait_until(ended(stage, "next"), "the only slot was free again")

    assert looks[:2] == [False, True]
    assert ran == ["next"]
    assert stage.said("late") == ["Started", "Revoked"]
