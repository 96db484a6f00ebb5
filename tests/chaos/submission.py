"""The tasks that chaos submits: their kinds, their pace, and which of them Kafka acknowledged. Past the API."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import msgspec
from muster.contracts.envelope import TaskRecord
from muster.contracts.errors import BrokerError
from muster.ports import Position, Producer

from .chaos_worker import SERVICE
from .installation import Installation

_KINDS = (("quick", 60), ("nap", 20), ("stumble", 15), ("refuse", 5))
#: Of the tasks, those with a countdown.
_DELAYED = 0.1


@dataclass
class Submitted:
    """What was submitted: task id -> task type."""

    tasks: dict[str, str] = field(default_factory=dict)
    #: Kafka did not say that it has them: they may be missing, and may not be wrong.
    unacknowledged: set[str] = field(default_factory=set)


def draw(number: int, dice: random.Random, now: datetime, lane: str) -> TaskRecord:
    kind = dice.choices([name for name, _ in _KINDS], [weight for _, weight in _KINDS])[0]
    parameters = {"seconds": round(dice.uniform(0.1, 1.0), 2)} if kind == "nap" else {}
    due = now + timedelta(seconds=dice.uniform(0.5, 20.0)) if dice.random() < _DELAYED else None
    return TaskRecord(
        task_id=f"chaos-{number:06d}", task_type=kind, body=msgspec.json.encode(parameters), submitted_at=now,
        not_before=due, route=lane if due else None,
    )  # fmt: skip


async def submit(
    installation: Installation, count: int, seconds: float, dice: random.Random, told: Callable[[int], None]
) -> Submitted:
    """Submit `count` tasks evenly over `seconds`; returns when Kafka has answered for each."""
    topics = installation.topics
    lane = topics.lane(SERVICE)
    submitted = Submitted()
    producer = installation.broker().producer(client_id="chaos")
    await producer.start()
    answers: list[asyncio.Task[None]] = []
    began = time.monotonic()
    try:
        for number in range(count):
            task = draw(number, dice, datetime.now(UTC), lane)
            submitted.tasks[task.task_id] = task.task_type
            topic = topics.retry if task.route else lane
            answers.append(asyncio.create_task(_send(producer, topic, task, submitted)))
            if number % 50 == 49:
                told(number + 1)
                await asyncio.sleep(max(0.0, began + seconds * number / count - time.monotonic()))
        await asyncio.gather(*answers)
    finally:
        await producer.stop()
    return submitted


async def _send(producer: Producer, topic: str, task: TaskRecord, submitted: Submitted) -> None:
    try:
        written: asyncio.Future[Position] = await producer.send(topic, task.body, key=task.key, headers=task.headers())
        await written
    except BrokerError:
        submitted.unacknowledged.add(task.task_id)
