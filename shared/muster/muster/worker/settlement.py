"""Writes what workers say of tasks: one outcome is one record.

What the outcome is was decided before; offsets are the intake's business.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

from muster.contracts.dead_letter import dead_letter_headers, provenance_of
from muster.contracts.envelope import Failure, HandedBack, TaskRecord
from muster.contracts.events import Abandoned, Event, Progressed, Revoked, Started, Succeeded, encode_event
from muster.contracts.topics import Topics
from muster.ports import Clock, Position, Producer, Record
from muster.worker.delivery import Delivery
from muster.worker.meters import Meters
from muster.worker.outcome import MAX_MESSAGE, Abandon, DeadLetter, HandOver, Outcome, RetryAt, Revoke, Succeed

Written = asyncio.Future[Position]


class Settlement:
    """The records of one worker. Every method returns when the record is queued; the future when it is acknowledged."""

    def __init__(self, producer: Producer, topics: Topics, meters: Meters, worker: str, clock: Clock) -> None:
        self._producer = producer
        self._topics = topics
        self._meters = meters
        self._worker = worker
        self._clock = clock

    async def started(self, record: Record, task: TaskRecord) -> Written:
        """Claim a delivery; must be acknowledged before its offset is committed."""
        return await self._event(
            task,
            Started(**self._said_of(task), **_pointer(record), sequenced=task.sequenced),
        )

    async def abandoned(self, record: Record, task: TaskRecord) -> Written:
        """Take a claim back."""
        return await self._event(
            task,
            Abandoned(**self._said_of(task), **_pointer(record), sequenced=task.sequenced),
        )

    async def progressed(self, task: TaskRecord, done: float, total: float | None, message: str) -> Written:
        return await self._event(
            task,
            Progressed(**self._said_of(task), done=done, total=total, message=message[:MAX_MESSAGE]),
        )

    async def revoked(self, record: Record, task: TaskRecord, reason: str, by: int | None = None) -> Written:
        """Names the record: its revocation must stay until the group has committed past it."""
        return await self._event(
            task,
            Revoked(
                **self._said_of(task), topic=record.topic, partition=record.partition, offset=record.offset,
                reason=reason, by=by,
            ),
        )  # fmt: skip

    async def settle(self, delivery: Delivery, outcome: Outcome, check_fence: Callable[[], None]) -> Outcome:
        """Write an outcome and wait for it; all but a success wait for the acceptance first. Returns what was written.

        A success of a keyed task waits too: it lets the next task of its key begin, so it must be the last word.

        `check_fence` is asked at the last moment: a process that was frozen wakes up here, before its next heartbeat,
        when another worker may have the task already. A success is welcome from anybody.

        Raises:
            Fenced: this worker may have been declared dead.
            BrokerError: the record was not written; the worker must stop, recovery brings the task back.
        """
        task = delivery.task
        if isinstance(outcome, Succeed) and task.order_key is None:
            written = await self._succeeded(delivery, outcome)
        elif isinstance(outcome, Abandon) or not await asyncio.shield(delivery.acceptance.confirmed):
            # Only now is it certain that the record is another worker's: a claim of ours must not stay.
            written = await self.abandoned(delivery.record, task)
            outcome = Abandon()
        else:
            check_fence()
            written = await self._settled(delivery, outcome)
        await written
        self._meters.settled(task.task_type, type(outcome).__name__)
        return outcome

    async def _settled(self, delivery: Delivery, outcome: Outcome) -> Written:
        match outcome:
            case Succeed():
                return await self._succeeded(delivery, outcome)
            case RetryAt():
                return await self._retry(delivery, outcome)
            case DeadLetter():
                return await self.dead_letter(delivery.record, delivery.task, outcome, delivery)
            case Revoke(reason, by):
                return await self.revoked(delivery.record, delivery.task, reason, by)
            case HandOver(partition):
                return await self._hand_over(delivery, partition)
            case _:
                return await self._hand_back(delivery)

    async def _succeeded(self, delivery: Delivery, outcome: Succeed) -> Written:
        task = delivery.task
        return await self._event(
            task,
            Succeeded(**self._said_of(task), started_at=delivery.started_at, result=msgspec.Raw(outcome.result)),
        )

    async def _retry(self, delivery: Delivery, outcome: RetryAt) -> Written:
        task = msgspec.structs.replace(
            delivery.task,
            attempt=delivery.task.attempt + 1,
            delivery=1,
            handover=0,
            unknown=delivery.task.unknown + outcome.unknown,
            not_before=outcome.due,
            route=delivery.record.topic,
            failure=self._stamped(outcome.failure, delivery),
            handed_back=None,
        )
        return await self.delayed(task)

    async def _hand_back(self, delivery: Delivery) -> Written:
        self._meters.handed_back.inc()
        task = msgspec.structs.replace(
            self._given_back(delivery.task), handover=0, not_before=self._clock.now(), route=delivery.record.topic
        )
        return await self.delayed(task)

    async def _hand_over(self, delivery: Delivery, partition: int) -> Written:
        """A hand-back that does not go round by the scheduler."""
        self._meters.handed_over.inc()
        task = msgspec.structs.replace(self._given_back(delivery.task), handover=delivery.task.handover + 1)
        return await self._producer.send(
            delivery.record.topic, task.body, key=task.key, headers=task.headers(), partition=partition
        )

    def _given_back(self, before: TaskRecord) -> TaskRecord:
        """The same attempt's next delivery."""
        count = before.handed_back.count + 1 if before.handed_back else 1
        back = HandedBack(count, before.delivery, self._worker, self._clock.now())
        return msgspec.structs.replace(before, delivery=before.delivery + 1, handed_back=back)

    async def delayed(self, task: TaskRecord) -> Written:
        """To `tasks.retry`, from where the scheduler moves it to its route when it is due."""
        return await self._producer.send(self._topics.retry, task.body, key=task.key, headers=task.headers())

    async def kept_waiting(self, record: Record, task: TaskRecord) -> Written:
        """To the waiting room, from where the tracker calls it when its turn comes. No attempt is burnt."""
        left = f"{record.topic}/{record.partition}/{record.offset}"
        task = msgspec.structs.replace(task, handover=0, left=left, route=record.topic)
        return await self._producer.send(self._topics.keyed, task.body, key=task.key, headers=task.headers())

    async def dead_letter(
        self, record: Record, task: TaskRecord, outcome: DeadLetter, delivery: Delivery | None = None
    ) -> Written:
        """The original record verbatim, and why it failed."""
        provenance = provenance_of(
            task,
            self._stamped(outcome.failure, delivery),
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            timestamp_ms=record.timestamp_ms,
            now=self._clock.now(),
            traceback=outcome.traceback,
        )
        headers = dead_letter_headers(record.headers, provenance)
        key = record.key if record.key is not None else task.key
        return await self._producer.send(self._topics.dead_letter, record.value, key=key, headers=headers)

    def _stamped(self, failure: Failure, delivery: Delivery | None) -> Failure:
        started = delivery.started_at if delivery else None
        return msgspec.structs.replace(failure, worker=self._worker, started_at=started, failed_at=self._clock.now())

    def _said_of(self, task: TaskRecord) -> dict[str, Any]:
        """What every event carries."""
        return {
            "task_id": task.task_id,
            "task_type": task.task_type,
            "attempt": task.attempt,
            "delivery": task.delivery,
            "redrive": task.redrive,
            "worker": self._worker,
            "at": self._clock.now(),
        }

    async def _event(self, task: TaskRecord, event: Event) -> Written:
        return await self._producer.send(self._topics.events, encode_event(event), key=task.task_id.encode())


def _pointer(record: Record) -> dict[str, Any]:
    return {"topic": record.topic, "partition": record.partition, "offset": record.offset}
