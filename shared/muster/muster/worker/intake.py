"""Takes records from the lanes, claims them and begins their tasks. Running them is not done here.

That a record counts as taken only once its offset is committed is acceptance.py's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection

from muster.contracts.dead_letter import task_of_unreadable
from muster.contracts.envelope import TaskRecord, parse_task
from muster.contracts.errors import InvalidRecord
from muster.contracts.topics import Lane, Topics
from muster.observability.logging import get_logger
from muster.ports import Clock, Consumer, Position, Record, TopicPartition
from muster.worker.acceptance import Acceptances
from muster.worker.control import Control
from muster.worker.delivery import Delivery
from muster.worker.lanes import order_of_turn
from muster.worker.meters import Meters
from muster.worker.outcome import outcome_of_invalid
from muster.worker.settlement import Settlement
from muster.worker.slots import Slots

IDLE_POLL_SECONDS = 0.5

_log = get_logger(__name__)


class Intake:
    """The intake of one worker; a `RebalanceListener`. `begin` is called once for each accepted delivery."""

    def __init__(
        self,
        consumer: Consumer,
        acceptances: Acceptances,
        settlement: Settlement,
        control: Control,
        slots: Slots,
        clock: Clock,
        meters: Meters,
        topics: Topics,
        service: str,
        begin: Callable[[Delivery], None],
    ) -> None:
        self._consumer = consumer
        self._acceptances = acceptances
        self._settlement = settlement
        self._control = control
        self._slots = slots
        self._clock = clock
        self._meters = meters
        self._topics = topics
        self._service = service
        self._begin = begin
        self._lanes: dict[Lane, list[TopicPartition]] = {}
        self._stopping = False
        #: Next offset after the last one taken, under any assignment.
        self._taken: dict[TopicPartition, int] = {}
        self._turn = 0

    @property
    def assigned(self) -> bool:
        return not self._acceptances.moving

    async def run(self) -> None:
        """Poll and accept until `stop`."""
        while not self._stopping:
            if self._slots.free <= 0:
                await self._slots.changed()
                continue
            records = await self._poll(self._slots.free)
            generation = self._acceptances.generation
            for record in records:
                if not await self._may_take(record, generation):
                    break  # uncommitted, so the new owner gets them
                await self._accept(record, generation)

    def stop(self) -> None:
        """Accept nothing more once the poll under way has ended."""
        self._stopping = True
        self._slots.wake()

    async def on_revoked(self, partitions: Collection[TopicPartition]) -> None:
        """Called before partitions move: commit what was accepted, then let go."""
        self._lanes = {}
        await self._acceptances.let_go()

    async def on_assigned(self, partitions: Collection[TopicPartition]) -> None:
        """Called with the whole new assignment."""
        self._lanes = {
            lane: [p for p in partitions if p.topic == self._topics.lane(self._service, lane)] for lane in Lane
        }
        self._acceptances.go_on()
        self._meters.rebalances.inc()
        _log.info("Assigned", action="intake.assigned", partitions=len(partitions))

    async def _poll(self, free: int) -> list[Record]:
        """At most `free` records, all of the assignment in force when it returns."""
        self._turn += 1
        records: list[Record] = []
        generation = self._acceptances.generation
        for lane in order_of_turn(self._turn):
            partitions = self._lanes.get(lane)
            if partitions and len(records) < free:
                polled = await self._consumer.poll(max_records=free - len(records), timeout=0, only=partitions)
                if generation != self._acceptances.generation:
                    # What was polled before the move is not ours any more; the new owner reads it again.
                    generation, records = self._acceptances.generation, []
                records += polled
        return records or await self._consumer.poll(max_records=free, timeout=IDLE_POLL_SECONDS)

    async def _may_take(self, record: Record, generation: int) -> bool:
        """False when the group moved meanwhile, or this worker stops.

        A record that came back after a move may still be held here: its claim must be taken back first. Both claims
        name the same worker and offset, so that ABANDONED after the second STARTED would take back both.
        """
        while record.offset < self._taken.get(record.source, 0) and self._holds(record):
            await self._slots.changed()
            if self._stopping:
                return False
        return self._acceptances.open_in(generation)

    def _holds(self, record: Record) -> bool:
        return any(
            delivery.record.source == record.source
            and delivery.record.offset == record.offset
            and not delivery.accepted
            for delivery in self._slots
        )

    async def _accept(self, record: Record, generation: int) -> None:
        try:
            task = parse_task(record.headers, record.value)
        except InvalidRecord as error:
            self._acceptances.gather(record, await self._refuse(record, error), generation)
            return
        instead = await self._instead_of_start(record, task)
        if instead is not None:
            self._acceptances.gather(record, instead, generation)
            return
        claimed = await self._settlement.started(record, task)
        if not self._acceptances.gather(record, claimed, generation):
            await self._settlement.abandoned(record, task)
            return
        delivery = self._acceptances.deliver(record, task, self._clock.now())
        self._slots.take(delivery)
        self._taken[record.source] = record.offset + 1
        self._begin(delivery)

    async def _instead_of_start(self, record: Record, task: TaskRecord) -> asyncio.Future[Position] | None:
        """What is written for a task that shall not start now; None for one that shall.

        A crash before the commit writes it twice: a second REVOKED changes nothing, a second delayed copy is one of the
        extra runs that at-least-once allows.
        """
        order = self._control.order_against(task, record)
        if order is not None:
            return await self._settlement.revoked(record, task, order.reason, order.by)
        now = self._clock.now()
        if task.expires is not None and task.expires <= now:
            return await self._settlement.revoked(record, task, "expired")
        if self._control.pauses.hold(task):
            return await self._settlement.kept_waiting(record, task)
        if task.not_before is not None and task.not_before > now:
            return await self._settlement.delayed(task.routed_to(record.topic))
        return None

    async def _refuse(self, record: Record, error: InvalidRecord) -> asyncio.Future[Position]:
        task = task_of_unreadable(record.headers, topic=record.topic, partition=record.partition, offset=record.offset)
        _log.warning(
            "Refused a record that is no task", action="task.invalid", task_id=task.task_id, topic=record.topic,
            partition=record.partition, offset=record.offset, error=str(error),
        )  # fmt: skip
        return await self._settlement.dead_letter(record, task, outcome_of_invalid(error))
