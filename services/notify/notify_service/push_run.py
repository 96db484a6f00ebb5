"""One run over all browsers a push is for: a hundred at once, each outcome written down. The tasks are pushing's."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from rotc import push_deliveries
from rotc.push_deliveries import Audience, Target
from rotc.service_resources import Pool
from rotc.web_push import Subscription

from notify_service.domain.push_answers import FINAL, Answer, Leftover, Outcome, Patience
from notify_service.push_client import PARALLEL

#: Outcomes that a killed worker may forget: those pushes are sent a second time.
RECORD_AT = 25

Progress = Callable[[float, float | None, str], Awaitable[None]]


class Sends(Protocol):
    """Sends one message to one browser."""

    async def send(self, subscription: Subscription, payload: bytes, topic: str) -> Answer: ...


@dataclass(frozen=True)
class Push:
    """One message for many: `task_id` is what its outcomes are recorded under."""

    task_id: str
    payload: bytes
    audience: Audience
    #: push_subscriptions.id up to which it goes.
    newest: int

    @property
    def topic(self) -> str:
        """The same for every try of one push, so that a browser that was away sees it once; 32 characters."""
        return base64.urlsafe_b64encode(hashlib.sha256(self.task_id.encode()).digest()[:24]).decode()


class PushRun:
    """Sends a push to every browser it is for, and to none that an earlier run of the task was done with."""

    def __init__(self, pool: Pool, client: Sends, push: Push, progress: Progress) -> None:
        self._pool, self._client, self._push, self._progress = pool, client, push, progress
        self._patience, self._leftover = Patience(), Leftover()
        self._outcomes: dict[int, str] = {}
        self._expired: list[Target] = []
        self._writing = asyncio.Lock()
        self._total = self._done = 0

    async def run(self) -> Leftover:
        """What did not come to an end; everything else is recorded."""
        push, slots = self._push, asyncio.Semaphore(PARALLEL)
        async with self._pool.acquire() as connection:
            self._total = await push_deliveries.count_targets(connection, push.audience, push.task_id, push.newest)
        try:
            async with asyncio.TaskGroup() as group:
                async for target in push_deliveries.targets(self._pool, push.audience, push.task_id, push.newest):
                    await slots.acquire()
                    group.create_task(self._one(target)).add_done_callback(lambda _task: slots.release())
        finally:
            await self._record()
        return self._leftover

    async def _one(self, target: Target) -> None:
        origin = _origin(target.subscription)
        answer = self._patience.refusal(origin)
        if answer is None:
            answer = await self._client.send(target.subscription, self._push.payload, self._push.topic)
            self._patience.learn(origin, answer)
        self._note(target, answer)
        if len(self._outcomes) >= RECORD_AT:
            await self._record()

    def _note(self, target: Target, answer: Answer) -> None:
        self._done += 1
        if answer.outcome not in FINAL:
            self._leftover.add(answer)
            return
        self._outcomes[target.id] = answer.outcome.value
        if answer.outcome is Outcome.EXPIRED:
            self._expired.append(target)

    async def _record(self) -> None:
        async with self._writing:
            outcomes, self._outcomes = self._outcomes, {}
            expired, self._expired = self._expired, []
            try:
                if outcomes:
                    async with self._pool.acquire() as connection:
                        await push_deliveries.record(connection, self._push.task_id, outcomes, expired)
            except BaseException:  # not written: the last call of the run tries again
                self._outcomes, self._expired = {**outcomes, **self._outcomes}, [*expired, *self._expired]
                raise
        await self._progress(self._done, self._total, "subscriptions")


def _origin(subscription: Subscription) -> str:
    """Scheme and host, to tell push services apart; whether they are any is not asked here."""
    return "/".join(subscription.endpoint.split("/", 3)[:3])
