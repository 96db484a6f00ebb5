"""The tasks that chaos submits: their kinds, pace and revocations, and what Kafka acknowledged of it. Past the API."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from muster.client.submission import Submission, prepare
from muster.contracts.control import Revocation
from muster.contracts.errors import BrokerError
from muster.contracts.events import encode_json
from muster.contracts.topics import Lane
from muster.ports import Position, Producer

from muster_local.chaos.installation import Installation
from muster_local.chaos.kinds import KINDS
from muster_local.chaos.plan import Plan
from muster_local.chaos.tasks import SERVICE

_LANES = {Lane.HIGH: 20, Lane.DEFAULT: 60, Lane.BULK: 20}
#: Of the tasks, those with a countdown, and those that are revoked (half of them before they are due).
_DELAYED, _REVOKED = 0.1, 0.05
#: Those with an order key, and tasks for each key: few enough that a key gets through its retries and lost workers.
_KEYED, _TASKS_PER_KEY = 0.08, 10
#: Tasks between two looks at the pace.
_STEP = 50


@dataclass
class Submitted:
    """What was submitted: task id -> task type."""

    tasks: dict[str, str] = field(default_factory=dict)
    #: Kafka did not say that it has them: they may be missing, and may not be wrong.
    unacknowledged: set[str] = field(default_factory=set)
    #: When the revocation of a task was acknowledged (seconds since the epoch).
    revoked: dict[str, float] = field(default_factory=dict)
    #: Tasks of each order key, in the order in which they were written.
    queues: dict[str, list[str]] = field(default_factory=dict)


def draw(number: int, dice: random.Random, now: datetime, plan: Plan) -> tuple[Submission, bool]:
    """A task, and whether it is revoked as soon as Kafka has it."""
    kind = dice.choices(list(KINDS), [kind.weight for kind in KINDS.values()])[0]
    parameters = {"seconds": round(dice.uniform(0.1, 1.0), 2)} if kind == "nap" else {}
    revoked = dice.random() < _REVOKED
    delayed = dice.random() < (0.5 if revoked else _DELAYED)
    asked: dict[str, Any] = {"countdown": dice.uniform(0.5, plan.farthest)} if delayed else {}
    if dice.random() < _KEYED:
        asked["order_key"] = f"key-{dice.randrange(max(1, int(plan.tasks * _KEYED / _TASKS_PER_KEY)))}"
    lane = dice.choices(list(_LANES), list(_LANES.values()))[0]
    task_id = f"chaos-{number:06d}"
    return prepare(kind, parameters, now=now, lane=lane, task_id=task_id, service=SERVICE, **asked), revoked


class Submitter:
    """Writes the tasks in the order in which they are drawn; answers come later."""

    def __init__(self, installation: Installation, plan: Plan, dice: random.Random) -> None:
        self._topics = installation.topics
        self._plan, self._dice = plan, dice
        self._producer: Producer = installation.broker().producer(client_id="chaos")
        self._answers: list[asyncio.Task[None]] = []
        self.submitted = Submitted()

    async def run(self, told: Callable[[int], None]) -> Submitted:
        """Submit evenly over the plan's seconds; returns when Kafka has answered for each task."""
        await self._producer.start()
        began, count = time.monotonic(), self._plan.tasks
        try:
            for number in range(count):
                await self._submit(*draw(number, self._dice, datetime.now(UTC), self._plan))
                if number % _STEP == _STEP - 1:
                    told(number + 1)
                    await asyncio.sleep(max(0.0, began + self._plan.seconds * number / count - time.monotonic()))
            await asyncio.gather(*self._answers)
        finally:
            await self._producer.stop()
        return self.submitted

    async def _submit(self, task: Submission, revoked: bool) -> None:
        lane = self._topics.lane(SERVICE, task.lane or Lane.DEFAULT)
        record = task.record(lane, now=datetime.now(UTC), source="chaos")
        self.submitted.tasks[task.task_id] = task.task_type
        try:
            # Written one after another, not answered: the order is part of what is judged.
            written = await self._producer.send(
                task.topic(self._topics, lane), record.body, key=record.key, headers=record.headers()
            )
        except BrokerError:
            self.submitted.unacknowledged.add(task.task_id)
            return
        if task.order_key:
            self.submitted.queues.setdefault(task.order_key, []).append(task.task_id)
        self._answers.append(asyncio.create_task(self._answered(task.task_id, written, revoked)))

    async def _answered(self, task_id: str, written: asyncio.Future[Position], revoked: bool) -> None:
        try:
            await written
        except BrokerError:
            self.submitted.unacknowledged.add(task_id)
            return
        if revoked:
            await self._revoke(task_id)

    async def _revoke(self, task_id: str) -> None:
        revocation = Revocation(task_id=task_id, at=datetime.now(UTC), terminate=True)
        try:
            asked = await self._producer.send(self._topics.control, encode_json(revocation), key=task_id.encode())
            await asked
        except BrokerError:
            return  # then it may run, or not: nothing was promised
        self.submitted.revoked[task_id] = time.time()
