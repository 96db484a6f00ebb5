"""A stage for stories about workers: the whole engine on the log in memory, and readers for what it wrote.

What a story asserts is not here.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import msgspec

from muster.adapters.clock import SystemClock
from muster.adapters.memory import MemoryBroker
from muster.claim_check import ClaimCheck
from muster.contracts.control import Revocation
from muster.contracts.envelope import TaskRecord
from muster.contracts.events import AnyEvent, Succeeded, decode_event, encode_json
from muster.contracts.topics import DELAYS, Topics, TopicSpec
from muster.ports import Broker, Compute, Producer, Record, TopicPartition
from muster.settings import Settings
from muster.testing.harness import InlineCompute
from muster.worker.app import TaskApp
from muster.worker.lifecycle import Worker


async def wait_until(condition: Callable[[], bool], description: str, seconds: float = 30.0) -> None:
    """Return when the condition holds; fail with its description when it does not in time."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not condition():
        if asyncio.get_running_loop().time() >= deadline:
            raise AssertionError(f"waited {seconds:g} s until {description}")
        await asyncio.sleep(0.005)


@dataclass
class Stage:
    """One broker with all topics, a producer, and everything that was written to it."""

    broker: Broker
    topics: Topics
    producer: Producer
    settings: Settings
    #: The lane that `submit` writes to.
    lane: str
    #: Where blocking work of the next worker runs.
    compute: Compute = field(default_factory=InlineCompute)
    #: The claim check of the next worker.
    claims: ClaimCheck | None = None
    seen: dict[str, list[Record]] = field(default_factory=dict)

    async def submit(self, task_type: str, parameters: Any = None, **fields: Any) -> str:
        task = TaskRecord(
            task_id=fields.pop("task_id", uuid.uuid4().hex),
            task_type=task_type,
            body=fields.pop("body", msgspec.json.encode(parameters or {})),
            **fields,
        )
        await self.put(self.lane, task.body, task.headers(), key=task.key)
        return task.task_id

    async def put(
        self, topic: str, value: bytes | None, headers: list[tuple[str, bytes]], key: bytes | None = None
    ) -> None:
        await (await self.producer.send(topic, value, key=key, headers=headers))

    async def revoke(self, task_id: str, *, terminate: bool = False) -> None:
        revocation = Revocation(task_id=task_id, at=SystemClock().now(), terminate=terminate, by=1)
        await self.put(self.topics.control, encode_json(revocation), [], key=revocation.key)

    def records(self, topic: str) -> list[Record]:
        return self.seen.get(topic, [])

    def events(self, task_id: str) -> list[AnyEvent]:
        found = [decode_event(record.value or b"") for record in self.records(self.topics.events)]
        return [event for event in found if event.task_id == task_id]

    def said(self, task_id: str) -> list[str]:
        """The names of a task's events, in order."""
        return [type(event).__name__ for event in self.events(task_id)]

    def result(self, task_id: str) -> Any:
        """What a task that has succeeded returned."""
        [end] = [event for event in self.events(task_id) if isinstance(event, Succeeded)]
        return msgspec.json.decode(end.result)

    @asynccontextmanager
    async def worker(
        self, app: TaskApp[Any], *, fails_with: type[Exception] | None = None, **changes: Any
    ) -> AsyncIterator[Worker[Any]]:
        """A running worker; it drains at the end. `fails_with`: it must stop itself with this error instead."""
        settings = self.settings.model_copy(update=changes)
        worker = Worker(app, settings, self.broker, self.compute, SystemClock(), self.claims)
        run = asyncio.create_task(worker.run())
        try:
            yield worker
        finally:
            if fails_with is None:
                worker.stop()
            await asyncio.wait([run], timeout=60)
            if not run.done():
                run.cancel()
                raise AssertionError("the worker did not end within 60 s")
        error = run.exception()
        if error is not None and not (fails_with and isinstance(error, fails_with)):
            raise error
        if error is None and fails_with is not None:
            raise AssertionError(f"the worker drained, instead of failing with {fails_with.__name__}")


def specs_without_delays(topics: Topics) -> list[TopicSpec]:
    """What a story without a scheduler needs: to make and delete the retry topics is half of what its Kafka costs."""
    delays = {topics.delay(seconds) for seconds in DELAYS}
    return [spec for spec in topics.specs() if spec.name not in delays]


@asynccontextmanager
async def memory_stage() -> AsyncIterator[Stage]:
    """A stage on the log in memory."""
    async with stage_on(MemoryBroker(SystemClock())) as stage:
        yield stage


@asynccontextmanager
async def stage_on(broker: Broker, prefix: str = "", service: str = "media") -> AsyncIterator[Stage]:
    """A stage on any broker: the topics of one service under `prefix`, and a reader of what is written to them."""
    topics = Topics(prefix)
    admin = broker.admin()
    await admin.start()
    await admin.apply([s for s in specs_without_delays(topics) if topics.service_of_lane(s.name) in (None, service)])
    producer = broker.producer()
    await producer.start()
    # The fence stays at its default: on a busy machine, topics that were just made have no leader for seconds.
    settings = Settings(topic_prefix=prefix, beat_seconds=0.2, grace_seconds=5, slots=4)
    stage = Stage(broker, topics, producer, settings, topics.lane(service))
    watch = [topics.events, topics.retry, topics.dead_letter, topics.keyed, topics.workers, topics.catalog]
    reader = broker.consumer()
    counts = await admin.partitions(watch)
    reader.assign([TopicPartition(topic, number) for topic in watch for number in range(counts[topic])])
    await reader.start()

    async def read() -> None:
        while True:
            for record in await reader.poll(timeout=0.2):
                stage.seen.setdefault(record.topic, []).append(record)

    reading = asyncio.create_task(read())
    try:
        yield stage
    finally:
        reading.cancel()
        with suppress(asyncio.CancelledError):
            await reading
        await reader.stop()
        await producer.stop()
        await admin.stop()
