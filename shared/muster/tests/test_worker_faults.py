"""Stories about what goes wrong between a worker and its broker: refused commits, lost answers, unwritten records."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Collection
from typing import Any

import pytest
from muster.adapters.memory import MemoryBroker
from muster.adapters.memory_consumer import MemoryConsumer
from muster.adapters.memory_producer import MemoryProducer
from muster.contracts.errors import BrokerError
from muster.contracts.retry import RetryPolicy
from muster.ports import Position, TopicPartition
from muster.testing import Stage, memory_stage, wait_until
from muster.worker.app import TaskApp
from muster.worker.context import Context
from muster.worker.heartbeat import Fenced
from muster.worker.intake import Intake

#: Seconds; a busy machine may stop a process for one of them.
FENCE = 1.5


class Runs:
    """What the tasks of this module did: how often each began, and which may end."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.cancelled: list[str] = []
        self.may_end = asyncio.Event()


def make_app(runs: Runs) -> TaskApp[None]:
    app: TaskApp[None] = TaskApp("media")

    @app.task()
    async def hold(ctx: Context[None]) -> str:
        runs.begun.append(ctx.task_id)
        try:
            await runs.may_end.wait()
        except asyncio.CancelledError:
            runs.cancelled.append(ctx.task_id)
            raise
        return "held"

    @app.task(retry=RetryPolicy(base=0.1))
    async def fail(ctx: Context[None]) -> None:
        runs.begun.append(ctx.task_id)
        raise OSError("broken")

    @app.task()
    async def linger(ctx: Context[None]) -> None:
        """Takes its time to end when it is cancelled."""
        runs.begun.append(ctx.task_id)
        try:
            await runs.may_end.wait()
        except asyncio.CancelledError:
            runs.cancelled.append(ctx.task_id)
            await asyncio.sleep(0.5)
            raise

    @app.task(retry=RetryPolicy(base=0.1))
    async def freeze(ctx: Context[None]) -> None:
        """Stops the whole process, as a machine that is suspended does, and then fails."""
        await runs.may_end.wait()
        time.sleep(FENCE + 0.5)  # noqa: ASYNC251
        raise OSError("too late")

    return app


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with memory_stage() as stage:
        yield stage


def broker_of(stage: Stage) -> MemoryBroker:
    assert isinstance(stage.broker, MemoryBroker)
    return stage.broker


async def joined(stage: Stage) -> MemoryConsumer:
    """The one worker's membership, once it has joined."""
    group = stage.topics.group("media")
    await wait_until(
        lambda: any(member.assignment() for member in broker_of(stage).members(group)), "the worker has its partitions"
    )
    return broker_of(stage).members(group)[0]


async def test_a_task_whose_commit_is_refused_is_abandoned_and_runs_elsewhere(stage: Stage) -> None:
    runs = Runs()
    async with stage.worker(make_app(runs)):
        member = await joined(stage)
        # Given: the group has moved on without the worker knowing, so its next commit is refused.
        broker_of(stage).expel(member, rejoin_after=None)
        task_id = await stage.submit("hold")
        await wait_until(lambda: runs.cancelled == [task_id], "the refusal is known")
        await broker_of(stage).readmit(member)

        await wait_until(lambda: runs.begun.count(task_id) == 2, "it was taken again after the rebalance")
        runs.may_end.set()
        await wait_until(lambda: "Succeeded" in stage.said(task_id), "it has succeeded")

    assert runs.cancelled == [task_id]
    assert stage.said(task_id) == ["Started", "Abandoned", "Started", "Succeeded"]


async def test_no_retry_is_written_for_a_task_that_was_never_accepted(stage: Stage) -> None:
    runs = Runs()
    async with stage.worker(make_app(runs)):
        member = await joined(stage)
        broker_of(stage).expel(member, rejoin_after=None)
        task_id = await stage.submit("fail")
        await wait_until(lambda: "Abandoned" in stage.said(task_id), "the refusal is known")
        await broker_of(stage).readmit(member)
        await wait_until(lambda: bool(stage.records(stage.topics.retry)), "the second taker wrote its retry")

    assert runs.begun.count(task_id) == 2
    assert len(stage.records(stage.topics.retry)) == 1
    assert stage.said(task_id) == ["Started", "Abandoned", "Started"]


async def test_a_commit_whose_answer_is_lost_is_asked_for_again(stage: Stage) -> None:
    runs = Runs()
    runs.may_end.set()
    async with stage.worker(make_app(runs)):
        broker_of(stage).fail_next("commit", BrokerError("no answer"), written=True)
        task_id = await stage.submit("fail")
        await wait_until(lambda: bool(stage.records(stage.topics.retry)), "the retry was written after the commit")

    assert runs.begun == [task_id]


async def test_a_worker_that_cannot_claim_stops_and_loses_nothing(stage: Stage) -> None:
    runs = Runs()
    runs.may_end.set()
    async with stage.worker(make_app(runs), fails_with=BrokerError):
        broker_of(stage).fail_next("produce", BrokerError("disk full"), topic=stage.topics.events)
        task_id = await stage.submit("hold")

    async with stage.worker(make_app(runs)):
        await wait_until(lambda: "Succeeded" in stage.said(task_id), "another worker has run it")

    assert stage.said(task_id)[-2:] == ["Started", "Succeeded"]


async def test_a_worker_that_cannot_write_an_outcome_stops_itself(stage: Stage) -> None:
    runs = Runs()
    async with stage.worker(make_app(runs), fails_with=BrokerError):
        task_id = await stage.submit("hold")
        await wait_until(lambda: stage.said(task_id) == ["Started"], "it runs")
        broker_of(stage).fail_next("produce", BrokerError("disk full"), topic=stage.topics.events)
        runs.may_end.set()

    # Then: the claim stands, so that recovery brings the task back.
    assert stage.said(task_id) == ["Started"]


async def test_a_worker_whose_heartbeats_fail_fences_itself_and_says_nothing_more(stage: Stage) -> None:
    runs = Runs()
    async with stage.worker(make_app(runs), fails_with=Fenced, beat_seconds=0.05, fence_seconds=FENCE):
        task_id = await stage.submit("hold")
        await wait_until(lambda: stage.said(task_id) == ["Started"], "it runs")
        for _ in range(100):
            broker_of(stage).fail_next("produce", BrokerError("no leader"), topic=stage.topics.workers)

    assert runs.cancelled == [task_id]
    assert stage.said(task_id) == ["Started"]
    assert stage.records(stage.topics.retry) == []


async def test_a_fenced_worker_drops_what_its_producer_still_holds_and_a_drained_one_does_not(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs, ended = Runs(), list[str]()
    stop, abort = MemoryProducer.stop, MemoryProducer.abort

    async def noted_stop(producer: MemoryProducer) -> None:
        ended.append("stop")
        await stop(producer)

    async def noted_abort(producer: MemoryProducer) -> None:
        ended.append("abort")
        await abort(producer)

    monkeypatch.setattr(MemoryProducer, "stop", noted_stop)
    monkeypatch.setattr(MemoryProducer, "abort", noted_abort)

    async with stage.worker(make_app(runs), fails_with=Fenced, beat_seconds=0.05, fence_seconds=FENCE):
        await wait_until(lambda: bool(stage.records(stage.topics.workers)), "it beats")
        for _ in range(100):
            broker_of(stage).fail_next("produce", BrokerError("no leader"), topic=stage.topics.workers)
    async with stage.worker(make_app(Runs())):
        ended.append("drain")

    assert ended == ["abort", "drain", "stop"]


async def test_a_record_that_came_back_is_taken_only_after_its_first_claim_is_taken_back(stage: Stage) -> None:
    runs = Runs()
    async with stage.worker(make_app(runs)):
        member = await joined(stage)
        # Given: the group moves on and comes back to this worker before the cancelled task has ended.
        broker_of(stage).expel(member, rejoin_after=None)
        task_id = await stage.submit("linger")
        await wait_until(lambda: runs.cancelled == [task_id], "the refusal is known")
        await broker_of(stage).readmit(member)
        await wait_until(lambda: runs.begun.count(task_id) == 2, "it was taken again")
        runs.may_end.set()
        await wait_until(lambda: "Succeeded" in stage.said(task_id), "it has succeeded")

    # Then: no ABANDONED stands after the second STARTED, whose claim it would take back as well.
    assert stage.said(task_id) == ["Started", "Abandoned", "Started", "Succeeded"]


async def test_a_worker_that_was_frozen_past_its_fence_writes_no_retry(stage: Stage) -> None:
    runs = Runs()
    async with stage.worker(make_app(runs), fails_with=Fenced, beat_seconds=0.05, fence_seconds=FENCE):
        task_id = await stage.submit("freeze")
        await wait_until(lambda: stage.said(task_id) == ["Started"], "it runs")
        runs.may_end.set()

    assert stage.records(stage.topics.retry) == []


async def test_a_worker_that_joins_slowly_beats_meanwhile(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = Runs()
    runs.may_end.set()
    join = MemoryConsumer.start

    async def join_slowly(consumer: MemoryConsumer) -> None:
        # Kafka may wait for a member that has died; here until the worker has beaten often enough.
        if consumer.group is not None:
            await wait_until(lambda: len(stage.records(stage.topics.workers)) >= 10, "it beats while it joins")
        await join(consumer)

    monkeypatch.setattr(MemoryConsumer, "start", join_slowly)
    async with stage.worker(make_app(runs), beat_seconds=0.05):
        task_id = await stage.submit("hold")
        await wait_until(lambda: "Succeeded" in stage.said(task_id), "it has succeeded")


async def test_a_batch_is_never_committed_under_a_later_generation(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = Runs()
    acknowledge = asyncio.Event()
    send = MemoryProducer.send

    async def send_slowly(producer: MemoryProducer, topic: str, *args: Any, **named: Any) -> asyncio.Future[Position]:
        written = await send(producer, topic, *args, **named)
        return written if topic != stage.topics.events else asyncio.ensure_future(after(acknowledge, written))

    assigned, on_assigned = asyncio.Event(), Intake.on_assigned

    async def tell_assigned(intake: Intake, partitions: Collection[TopicPartition]) -> None:
        await on_assigned(intake, partitions)
        assigned.set()

    monkeypatch.setattr(Intake, "on_assigned", tell_assigned)
    # Given: STARTED is acknowledged only after the group has moved away and come back.
    monkeypatch.setattr(MemoryProducer, "send", send_slowly)
    monkeypatch.setattr("muster.worker.acceptance.REVOKE_SECONDS", 0.1)
    async with stage.worker(make_app(runs)):
        member = await joined(stage)
        task_id = await stage.submit("fail")
        await wait_until(lambda: runs.begun == [task_id], "it runs")
        assigned.clear()
        broker_of(stage).expel(member, rejoin_after=0.1)
        await asyncio.wait_for(assigned.wait(), 30)
        acknowledge.set()
        await wait_until(lambda: bool(stage.records(stage.topics.retry)), "the retry was written")

    # Then: only the second taking was accepted, and only it led to a retry.
    assert stage.said(task_id) == ["Started", "Abandoned", "Started"]
    assert len(stage.records(stage.topics.retry)) == 1


async def after(event: asyncio.Event, written: asyncio.Future[Position]) -> Position:
    await event.wait()
    return await written
