"""Stories about tasks that run longer than Kafka lets a consumer poll nothing: nobody else runs them."""

from __future__ import annotations

import asyncio

import pytest
from muster.adapters.kafka import KafkaBroker
from muster.adapters.kafka_consumer import ConsumerOptions
from muster.contracts.events import Started, decode_heartbeat
from muster.settings import KafkaSettings
from muster.testing import Stage, stage_on, wait_until
from muster.worker import Context, TaskApp

pytestmark = pytest.mark.kafka

MAX_POLL_SECONDS, BEAT_SECONDS = 0.5, 0.2
#: Beats of a worker that is busy many times as long as Kafka lets a consumer poll nothing.
BEATS = 20


def app_of(ran: list[int], may_end: asyncio.Event) -> TaskApp[None]:
    app: TaskApp[None] = TaskApp("media")

    @app.task()
    async def long(ctx: Context[None]) -> None:
        ran.append(ctx.delivery)
        await may_end.wait()

    @app.task()
    async def short(ctx: Context[None]) -> None:
        """Over at once."""

    return app


def beats_while_busy(stage: Stage) -> int:
    said = [decode_heartbeat(record.value or b"") for record in stage.records(stage.topics.workers)]
    return sum(beat.running == beat.slots for beat in said)


async def test_a_task_far_longer_than_the_poll_interval_runs_once_and_costs_its_worker_nothing(
    kafka: str, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ConsumerOptions.as_keywords
    short_poll = {"max_poll_interval_ms": int(MAX_POLL_SECONDS * 1000)}
    monkeypatch.setattr(ConsumerOptions, "as_keywords", lambda self: options(self) | short_poll)
    ran, may_end = list[int](), asyncio.Event()
    async with (
        stage_on(KafkaBroker(KafkaSettings(bootstrap_servers=kafka)), topic_prefix) as stage,
        stage.worker(app_of(ran, may_end), slots=1, beat_seconds=BEAT_SECONDS) as worker,
    ):
        long = await stage.submit("long")
        await wait_until(lambda: bool(ran), "the long task runs", 30)
        # When: it has no slot free for a long time, and more tasks wait for it.
        waiting = [await stage.submit("short") for _ in range(10)]
        await wait_until(lambda: beats_while_busy(stage) >= BEATS, "it was busy for many poll intervals", 60)
        partitions = worker._consumer.assignment()
        may_end.set()
        await wait_until(lambda: all("Succeeded" in stage.said(task) for task in waiting), "all have run", 60)

    assert stage.said(long) == ["Started", "Succeeded"]
    assert ran == [1]
    assert len(partitions) == 18, "it never left the group"
    assert all([type(event) for event in stage.events(task)].count(Started) == 1 for task in waiting)
