"""Stories about lanes: bulk gets its turn whatever is urgent, and workers may serve different lanes of one service."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from muster.adapters.kafka import KafkaBroker
from muster.contracts.envelope import TaskRecord
from muster.contracts.events import Started
from muster.contracts.topics import Lane
from muster.settings import KafkaSettings, Settings
from muster.testing import Stage, memory_stage, stage_on, wait_until
from muster.worker import Context, TaskApp
from pydantic import BaseModel, ValidationError


class Which(BaseModel):
    lane: Lane


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.kafka)])
async def stage(request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    if request.param == "memory":
        async with memory_stage() as stage:
            yield stage
        return
    broker = KafkaBroker(KafkaSettings(bootstrap_servers=request.getfixturevalue("kafka")))
    async with stage_on(broker, request.getfixturevalue("topic_prefix")) as stage:
        yield stage


def app_that_notes(ran: list[Lane]) -> TaskApp[None]:
    app: TaskApp[None] = TaskApp("media")

    @app.task()
    async def note(ctx: Context[None], params: Which) -> None:
        ran.append(params.lane)

    return app


async def fill(stage: Stage, lane: Lane, count: int, first: int = 0) -> list[str]:
    tasks = [
        TaskRecord(task_id=f"{lane}-{number}", task_type="note", body=b'{"lane":"%s"}' % lane.encode())
        for number in range(first, first + count)
    ]
    topic = stage.topics.lane("media", lane)
    written = [await stage.producer.send(topic, task.body, key=task.key, headers=task.headers()) for task in tasks]
    for answer in written:
        await answer
    return [task.task_id for task in tasks]


def worker_of(stage: Stage, task_id: str) -> str | None:
    return next((event.worker for event in stage.events(task_id) if isinstance(event, Started)), None)


async def test_bulk_gets_one_turn_of_16_while_high_never_ends() -> None:
    ran: list[Lane] = []
    async with memory_stage() as stage:
        await fill(stage, Lane.HIGH, 400)
        await fill(stage, Lane.BULK, 20)
        async with stage.worker(app_that_notes(ran), slots=1):
            await wait_until(lambda: len(ran) == 420, "all have run", 60)

    at = [number for number, lane in enumerate(ran, 1) if lane is Lane.BULK]
    assert [number - before for before, number in zip([0, *at], at, strict=False)][1:] == [16] * 19
    assert at[0] <= 16


async def test_default_is_not_starved_by_high_and_bulk_by_neither() -> None:
    ran: list[Lane] = []
    async with memory_stage() as stage:
        for lane in Lane:
            await fill(stage, lane, 160)
        async with stage.worker(app_that_notes(ran), slots=1):
            await wait_until(lambda: len(ran) == 480, "all have run", 60)

    # Ten, five and one of sixteen turns, while each lane has work.
    contested = ran[:160]
    assert {lane: contested.count(lane) for lane in Lane} == {Lane.HIGH: 100, Lane.DEFAULT: 50, Lane.BULK: 10}


@pytest.mark.kafka
async def test_bulk_is_not_starved_on_kafka(kafka: str, topic_prefix: str) -> None:
    ran: list[Lane] = []
    async with stage_on(KafkaBroker(KafkaSettings(bootstrap_servers=kafka)), topic_prefix) as stage:
        await fill(stage, Lane.BULK, 5)
        await fill(stage, Lane.HIGH, 1000)
        async with stage.worker(app_that_notes(ran), slots=1):
            await wait_until(lambda: ran.count(Lane.BULK) == 5, "the bulk tasks have run", 60)
            behind = 1000 - ran.count(Lane.HIGH)

    # 5 turns of bulk are 80 of all; what is fetched late may cost it a few turns more.
    assert behind > 500


async def test_workers_of_one_service_may_serve_different_lanes(stage: Stage) -> None:
    ran: list[Lane] = []
    app = app_that_notes(ran)
    others = (Lane.HIGH, Lane.DEFAULT)
    async with stage.worker(app, lanes=(Lane.BULK,)) as bulk, stage.worker(app, lanes=others) as rest:
        tasks = {lane: await fill(stage, lane, 12) for lane in Lane}
        names = [name for names in tasks.values() for name in names]
        await wait_until(lambda: all("Succeeded" in stage.said(name) for name in names), "all have run", 60)

        assert {worker_of(stage, name) for name in tasks[Lane.BULK]} == {bulk.id}
        assert {worker_of(stage, name) for name in (*tasks[Lane.HIGH], *tasks[Lane.DEFAULT])} == {rest.id}


async def test_a_worker_of_all_lanes_takes_over_what_a_worker_of_one_leaves(stage: Stage) -> None:
    ran: list[Lane] = []
    app = app_that_notes(ran)
    async with stage.worker(app):
        async with stage.worker(app, lanes=(Lane.BULK,)):
            first = await fill(stage, Lane.BULK, 6)
            await wait_until(lambda: all("Succeeded" in stage.said(name) for name in first), "they have run", 60)
        second = [*await fill(stage, Lane.HIGH, 6), *await fill(stage, Lane.BULK, 6, first=6)]
        await wait_until(lambda: all("Succeeded" in stage.said(name) for name in second), "the other runs all", 60)

    assert len(ran) == len([*first, *second])


def test_lanes_are_read_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUSTER_LANES", " bulk, high")

    assert Settings().lanes == (Lane.BULK, Lane.HIGH)
    monkeypatch.setenv("MUSTER_LANES", "")
    assert Settings().lanes == tuple(Lane)


@pytest.mark.parametrize("given", ["urgent", "high,high", "high,,bulk", ","])
def test_lanes_that_do_not_exist_are_refused_in_one_sentence(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv("MUSTER_LANES", given)

    with pytest.raises(ValidationError, match=r"MUSTER_LANES \(.*\) must name each lane at most once, of high, "):
        Settings()
