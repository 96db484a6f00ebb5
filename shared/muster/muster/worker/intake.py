"""Takes records from the lanes, claims them and begins their tasks. Running them is not done here.

That a record counts as taken only once its offset is committed is acceptance.py's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence

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
from muster.worker.surplus import Surplus

IDLE_POLL_SECONDS = 0.5

Lanes = dict[Lane, list[TopicPartition]]

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
        surplus: Surplus,
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
        self._surplus = surplus
        self._clock = clock
        self._meters = meters
        self._topics = topics
        self._service = service
        self._begin = begin
        self._lanes: Lanes = {}
        #: Partitions whose next record must wait for a slot of this worker.
        self._staying: set[TopicPartition] = set()
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
            records = await self._next_records()
            generation = self._acceptances.generation
            for number, record in enumerate(records):
                if not await self._may_take(record, generation):
                    break  # uncommitted, so the new owner gets them
                if not await self._accept(record, generation):
                    await self._put_back(records[number:], generation)
                    break

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
        self._staying.clear()
        self._acceptances.go_on()
        self._meters.rebalances.inc()
        _log.info("Assigned", action="intake.assigned", partitions=len(partitions))

    async def _next_records(self) -> list[Record]:
        """As many as there are free slots; when there is none, as many as others have idle for us."""
        if self._slots.free > 0:
            self._staying.clear()
            return await self._poll(self._slots.free)
        room, reachable = self._surplus.room()
        lanes = {
            lane: [p for p in partitions if p.topic in reachable and p not in self._staying]
            for lane, partitions in self._lanes.items()
        }
        if room <= 0 or not any(lanes.values()):
            await self._slots.changed()
            return []
        return await self._poll(room, lanes)

    async def _poll(self, room: int, lanes: Lanes | None = None) -> list[Record]:
        """At most `room` records, all of the assignment in force when it returns; from these partitions only."""
        self._turn += 1
        records: list[Record] = []
        generation = self._acceptances.generation
        for lane in order_of_turn(self._turn):
            partitions = (self._lanes if lanes is None else lanes).get(lane)
            if partitions and len(records) < room:
                polled = await self._consumer.poll(max_records=room - len(records), timeout=0, only=partitions)
                if generation != self._acceptances.generation:
                    # What was polled before the move is not ours any more; the new owner reads it again.
                    generation, records, lanes = self._acceptances.generation, [], None
                records += polled
        only = None if lanes is None else [partition for owned in lanes.values() for partition in owned]
        return records or await self._consumer.poll(max_records=room, timeout=IDLE_POLL_SECONDS, only=only)

    async def _put_back(self, records: Sequence[Record], generation: int) -> None:
        """Read these again later; they wait for a slot of this worker, or for others to be idle again."""
        if not self._acceptances.open_in(generation):
            return
        first: dict[TopicPartition, int] = {}
        for record in records:
            first.setdefault(record.source, record.offset)
        for partition, offset in first.items():
            await self._consumer.seek(partition, offset)

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

    async def _accept(self, record: Record, generation: int) -> bool:
        """Claim a record and begin its task, here or elsewhere; False when neither has room for it."""
        try:
            task = parse_task(record.headers, record.value)
        except InvalidRecord as error:
            self._acceptances.gather(record, await self._refuse(record, error), generation)
            return True
        instead = await self._instead_of_start(record, task)
        if instead is not None:
            self._acceptances.gather(record, instead, generation)
            return True
        elsewhere = None
        if self._slots.free <= 0:
            if not self._surplus.may_travel(task):
                self._staying.add(record.source)
                return False
            elsewhere = self._surplus.reserve(task, record.topic)
            if elsewhere is None:
                return False
        claimed = await self._settlement.started(record, task)
        if not self._acceptances.gather(record, claimed, generation):
            await self._settlement.abandoned(record, task)
            return True
        delivery = self._acceptances.deliver(record, task, self._clock.now())
        self._taken[record.source] = record.offset + 1
        if elsewhere is not None:
            self._surplus.begin(delivery, elsewhere)
            return True
        self._slots.take(delivery)
        self._begin(delivery)
        return True

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
