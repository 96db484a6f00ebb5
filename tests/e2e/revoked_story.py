"""Delayed tasks are revoked, by id and by filter; everything is stopped and started; none of them may run.

Told by test_revoked_for_good.py with a few tasks, and by revoked.py with as many as asked.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import httpx
from muster.adapters.kafka import KafkaBroker
from muster.contracts.envelope import TaskRecord
from muster.contracts.topics import Topics
from muster.settings import KafkaSettings

from .api import Api, wait_until
from .system import System

BY_ID, BY_FILTER = "nap", "stumble"
_STANDING = "SELECT count(*) FROM muster.revocations WHERE requested_at IS NOT NULL"
_RULES = "SELECT count(*) FROM muster.revocation_rules WHERE requested_at IS NOT NULL"


@dataclass(frozen=True)
class Told:
    """What was counted."""

    tasks: int
    revoked: int
    executions: int
    #: From the start of everything to the last REVOKED, in seconds.
    seconds: float


def tell(system: System, api: Api, tasks: int, *, due_seconds: float, patience: float) -> Told:
    """Half of the tasks are revoked by id, half by filter while some of them are still on their way."""
    # A task type is known once a worker has announced it.
    worker = system.practice(MUSTER_SLOTS="16").start()
    api.knows(BY_ID)
    assert worker.drain() == 0
    begun = len(system.ledger.runs())
    due = datetime.now(UTC) + timedelta(seconds=due_seconds)
    named = delay(system, BY_ID, tasks // 2, due)
    wait_until(lambda: api.counts(BY_ID).total() >= len(named), "those to be named are known", patience)
    for task_id in named:
        assert api.revoke(task_id).status_code == httpx.codes.ACCEPTED
    # In Kafka, and revoked before the projection can have seen them all.
    delay(system, BY_FILTER, tasks - len(named), due)
    answer = api.client.post("/tasks/revoke", json={"task_type": BY_FILTER, "dry_run": False})
    assert answer.status_code == httpx.codes.ACCEPTED, answer.text

    for program in (system.scheduler, system.tracker):
        assert program.drain() == 0
    for program in (system.tracker, system.scheduler, worker):
        program.start()

    began = time.monotonic()
    wait_until(lambda: _revoked(api) == tasks, f"all {tasks} tasks are REVOKED", patience)
    seconds = time.monotonic() - began
    wait_until(lambda: system.query(_STANDING) + system.query(_RULES) == 0, "every order is withdrawn", patience)
    assert worker.drain() == 0
    return Told(tasks, _revoked(api), len(system.ledger.runs()) - begun, round(seconds, 1))


def delay(system: System, name: str, count: int, due: datetime) -> list[str]:
    """Put tasks into the wheel as a client without the API does; their ids."""
    return asyncio.run(_delay(system.kafka, system.topics, name, count, due))


async def _delay(kafka: str, topics: Topics, name: str, count: int, due: datetime) -> list[str]:
    body = b'{"seconds":0}' if name == BY_ID else b'{"times":0}'
    producer = KafkaBroker(KafkaSettings(bootstrap_servers=kafka)).producer()
    await producer.start()
    try:
        tasks = [
            TaskRecord(
                task_id=uuid.uuid4().hex, task_type=name, body=body, not_before=due, route=topics.lane("notify"),
                submitted_at=datetime.now(UTC),
            )
            for _ in range(count)
        ]  # fmt: skip
        sent = [await producer.send(topics.retry, task.body, key=task.key, headers=task.headers()) for task in tasks]
        await asyncio.gather(*sent)
    finally:
        await producer.stop()
    return [task.task_id for task in tasks]


def _revoked(api: Api) -> int:
    return api.counts(BY_ID)["REVOKED"] + api.counts(BY_FILTER)["REVOKED"]
