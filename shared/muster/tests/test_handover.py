"""Stories about full workers and idle ones: whatever partition tasks lie in, no slot stays idle while one waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any

import pytest
from muster.adapters.kafka import KafkaBroker
from muster.adapters.memory_consumer import MemoryConsumer
from muster.adapters.memory_producer import MemoryProducer
from muster.contracts.envelope import TaskRecord, parse_task
from muster.contracts.events import Started, decode_heartbeat
from muster.ports import Position, TopicPartition
from muster.settings import KafkaSettings
from muster.testing import Stage, memory_stage, stage_on, wait_until
from muster.worker.app import TaskApp
from muster.worker.context import Context
from muster.worker.lifecycle import Worker
from muster.worker.sharing import MAX_HANDOVERS

PATIENCE = 60.0


class Hall:
    """Tasks that stay until they are let go, and who came."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.may_end = asyncio.Event()
        self.app: TaskApp[None] = TaskApp("media")
        self.app.task(name="hold")(self._hold)
        self.app.task(name="greet")(self._greet)

    async def _hold(self, ctx: Context[None]) -> None:
        self.begun.append(ctx.task_id)
        await self.may_end.wait()

    async def _greet(self, ctx: Context[None]) -> None:
        self.begun.append(ctx.task_id)


@pytest.fixture
def hall() -> Hall:
    return Hall()


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.kafka)])
async def stage(request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    if request.param == "memory":
        async with memory_stage() as stage:
            yield stage
        return
    broker = KafkaBroker(KafkaSettings(bootstrap_servers=request.getfixturevalue("kafka")))
    async with stage_on(broker, request.getfixturevalue("topic_prefix")) as stage:
        yield stage


def owners(stage: Stage) -> dict[TopicPartition, str]:
    """Who owns which partition, as the workers said last."""
    beats = {}
    for record in stage.records(stage.topics.workers):
        beat = decode_heartbeat(record.value or b"")
        beats[beat.worker] = beat
    return {TopicPartition(*owned): beat.worker for beat in beats.values() for owned in beat.partitions}


async def fleet(stage: Stage, stack: AsyncExitStack, hall: Hall, workers: int, **changes: Any) -> list[Worker[Any]]:
    """Start workers of two slots; returns when they have shared the partitions and know of it."""
    started = [await stack.enter_async_context(stage.worker(hall.app, slots=2, **changes)) for _ in range(workers)]
    # Tasks that are held must not hold the end of a failed test up.
    stack.callback(hall.may_end.set)
    await joined(stage, {worker.id for worker in started})
    return started


async def joined(stage: Stage, workers: set[str]) -> None:
    """Return when these and nobody else own all partitions."""
    await wait_until(
        lambda: len(owners(stage)) == 18 and set(owners(stage).values()) == workers, "all have joined", PATIENCE
    )


async def put(stage: Stage, task_id: str, partition: int, task_type: str = "hold", **fields: Any) -> str:
    """Submit into one partition."""
    task = TaskRecord(task_id=task_id, task_type=task_type, body=b"{}", **fields)
    written = await stage.producer.send(
        stage.lane, task.body, key=task.key, headers=task.headers(), partition=partition
    )
    await written
    return task_id


async def succeeded(stage: Stage, ids: list[str]) -> None:
    await wait_until(lambda: all("Succeeded" in stage.said(one) for one in ids), "all have succeeded", PATIENCE)


def claims(stage: Stage, task_id: str) -> list[Started]:
    return [event for event in stage.events(task_id) if isinstance(event, Started)]


async def test_tasks_of_one_partition_fill_the_slots_of_all_workers(stage: Stage, hall: Hall) -> None:
    async with AsyncExitStack() as stack:
        await fleet(stage, stack, hall, 3)
        ids = [await put(stage, f"task-{number}", partition=0) for number in range(6)]

        # Then: all six run at the same time, although the owner of their partition has two slots.
        await wait_until(lambda: len(hall.begun) == 6, "all slots are taken", PATIENCE)
        hall.may_end.set()
        await succeeded(stage, ids)

    assert set(hall.begun) == set(ids)
    # A task handed over is a delivery more of the same attempt, and nothing went round by the scheduler.
    assert {claim.attempt for one in ids for claim in claims(stage, one)} == {1}
    assert any(claim.delivery == 2 for one in ids for claim in claims(stage, one))
    assert stage.records(stage.topics.retry) == []


async def test_workers_replaced_under_long_tasks_hold_nobody_up_and_repeat_nothing(stage: Stage, hall: Hall) -> None:
    async with AsyncExitStack() as stack:
        olds = await fleet(stage, stack, hall, 2, grace_seconds=PATIENCE)
        held = [await put(stage, f"held-{number}", partition=number) for number in range(3)]
        await wait_until(lambda: len(hall.begun) == 3, "they run", PATIENCE)

        # When: every worker is replaced, one after the other, while its tasks go on.
        present = {old.id for old in olds}
        for number, old in enumerate(olds):
            new = await stack.enter_async_context(stage.worker(hall.app, slots=2))
            old.stop()
            present = present - {old.id} | {new.id}
            await joined(stage, present)
            # Then: other tasks start meanwhile.
            greeted = [await put(stage, f"greet-{number}-{p}", partition=p, task_type="greet") for p in range(6)]
            await succeeded(stage, greeted)
        assert [stage.said(one) for one in held if "Succeeded" in stage.said(one)] == []
        hall.may_end.set()
        await succeeded(stage, held)

    assert len(hall.begun) == len(set(hall.begun)) == 3 + 2 * 6
    assert stage.records(stage.topics.retry) == []


async def test_a_task_that_travelled_enough_stays_and_others_of_its_worker_go_on(stage: Stage, hall: Hall) -> None:
    async with AsyncExitStack() as stack:
        await fleet(stage, stack, hall, 2)
        owned = owners(stage)
        first = owned[TopicPartition(stage.lane, 0)]
        other = next(p.partition for p in owned if p.topic == stage.lane and p.partition and owned[p] == first)
        await put(stage, "held-1", partition=0)
        await put(stage, "held-2", partition=0)
        await wait_until(lambda: len(hall.begun) == 2, "the first worker is full", PATIENCE)

        await put(stage, "traveller", partition=0, handover=MAX_HANDOVERS)
        await put(stage, "free", partition=other)
        # Given: the first worker does hand over what lies in its other partition.
        await wait_until(lambda: "free" in hall.begun, "the second worker has it", PATIENCE)
        assert "traveller" not in hall.begun
        hall.may_end.set()
        await wait_until(lambda: "Succeeded" in stage.said("traveller"), "its turn has come", PATIENCE)

    assert [(claim.worker, claim.delivery) for claim in claims(stage, "traveller")] == [(first, 1)]


async def test_what_shall_not_start_needs_no_slot(stage: Stage, hall: Hall) -> None:
    async with AsyncExitStack() as stack:
        await fleet(stage, stack, hall, 2)
        await put(stage, "held-1", partition=0)
        await put(stage, "held-2", partition=0)
        await wait_until(lambda: len(hall.begun) == 2, "the first worker is full", PATIENCE)

        await put(stage, "late", partition=0, expires=datetime(2020, 1, 1, tzinfo=UTC))
        await wait_until(lambda: stage.said("late") == ["Revoked"], "it has expired", PATIENCE)

    assert "late" not in hall.begun


async def test_no_copy_is_written_before_the_acceptance_stands(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = asyncio.Event()
    answers.set()
    copied: list[tuple[TaskRecord, bool]] = []
    send = MemoryProducer.send

    async def watch(
        producer: MemoryProducer, topic: str, value: bytes | None, **named: Any
    ) -> asyncio.Future[Position]:
        task = parse_task(named.get("headers", ()), value) if topic.endswith(".default") else None
        if task is not None and task.handover:
            copied.append((task, answers.is_set()))
        return await send(producer, topic, value, **named)

    commit = MemoryConsumer.commit

    async def commit_late(consumer: MemoryConsumer, offsets: Mapping[TopicPartition, int]) -> None:
        await answers.wait()
        await commit(consumer, offsets)

    monkeypatch.setattr(MemoryProducer, "send", watch)
    monkeypatch.setattr(MemoryConsumer, "commit", commit_late)
    async with memory_stage() as stage, AsyncExitStack() as stack:
        await fleet(stage, stack, hall, 2)
        await put(stage, "held-1", partition=0)
        await put(stage, "held-2", partition=0)
        await wait_until(lambda: len(hall.begun) == 2, "the first worker is full")
        # Given: the broker takes its time over the next commit.
        answers.clear()
        await put(stage, "third", partition=0)
        await wait_until(lambda: bool(claims(stage, "third")), "it is claimed")
        answers.set()
        await wait_until(lambda: "third" in hall.begun, "it was handed over once the commit stood")

    [(task, accepted)] = copied
    assert accepted
    assert (task.task_id, task.delivery, task.handover) == ("third", 2, 1)
    assert task.handed_back is not None
    assert task.handed_back.count == 1
