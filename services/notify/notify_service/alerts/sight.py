"""Sees the pipeline from outside: heartbeats, committed offsets, ends. What follows from it is domain/pulse.py's.

Nothing of it is the word of a part that may be dead.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import AsyncExitStack
from datetime import datetime, timedelta

from muster.contracts.errors import UNREADABLE
from muster.contracts.events import decode_heartbeat
from muster.contracts.topics import WORKER_SERVICES, Topics
from muster.ports import Admin, Broker, Consumer, Record, TopicPartition

from notify_service.domain.pulse import Flow, Sight

#: A heartbeat older than this says nothing any more.
MEMORY = timedelta(hours=1)
#: A service whose worker was heard so lately lives; whether its tasks wait need not be asked.
LATELY = timedelta(seconds=30)
POLL_SECONDS = 0.2
#: Whether a record lies at an offset is known after so long.
PROBE_SECONDS = 2.0

Projected = Callable[[Collection[str]], Awaitable[Mapping[tuple[str, int], int]]]


class Lookout:
    """Two clients of Kafka, opened at the first look and after every failure."""

    def __init__(self, broker: Broker, topics: Topics) -> None:
        self._broker = broker
        self._topics = topics
        self._open: AsyncExitStack | None = None
        self._clients: tuple[Admin, Consumer] | None = None
        #: The newest heartbeat of every worker that has not left, by service.
        self._beats: dict[str, dict[str, datetime]] = {}
        self._stood: dict[str, int] = {}

    async def see(self, now: datetime, position: int, behind: int, projected: Projected) -> Sight:
        """Look once; `position` and `behind` are those of the alerts' own reading.

        Raises:
            BrokerError: Kafka does not answer.
        """
        admin, consumer = await self._ready()
        await self._hear(consumer, now)
        newest = {service: max(alive.values()) for service, alive in self._beats.items() if alive}
        waiting = {}
        for service in WORKER_SERVICES:
            lives = service in newest and now - newest[service] < LATELY
            flow = Flow(0, 0) if lives else await self._flow(service, self._topics.lanes(service), admin, consumer)
            waiting[service] = flow.behind
        flows = {
            "scheduler": await self._flow("scheduler", [self._topics.retry], admin, consumer),
            "alerts": Flow(position, behind),
        }
        if projection := await self._projection(projected, consumer):
            flows["projection"] = projection
        return Sight(now, beats=newest, waiting=waiting, flows=flows)

    async def close(self) -> None:
        opened, self._open, self._clients = self._open, None, None
        if opened is not None:
            await opened.aclose()

    async def _ready(self) -> tuple[Admin, Consumer]:
        if self._clients is None:
            self._open = AsyncExitStack()
            admin = self._broker.admin()
            await admin.start()
            self._open.push_async_callback(admin.stop)
            consumer = self._broker.consumer(client_id="muster-alerts-beats")
            consumer.assign([TopicPartition(self._topics.workers, 0)])
            self._open.push_async_callback(consumer.stop)
            await consumer.start()
            self._clients = admin, consumer
        return self._clients

    async def _hear(self, consumer: Consumer, now: datetime) -> None:
        place = TopicPartition(self._topics.workers, 0)
        end = (await consumer.end_offsets([place]))[place]
        # As far as they went when this look began: new ones come all the time.
        while await consumer.position(place) < end:
            records = await consumer.poll(timeout=POLL_SECONDS)
            if not records:
                break
            for record in records:
                self._note(record, now)
        for service, alive in self._beats.items():
            self._beats[service] = {worker: at for worker, at in alive.items() if now - at < MEMORY}

    def _note(self, record: Record, now: datetime) -> None:
        try:
            beat = decode_heartbeat(record.value or b"")
        except UNREADABLE:
            return  # the tracker counts and logs what cannot be read
        alive = self._beats.setdefault(beat.service[:100], {})
        if beat.at.tzinfo is None:
            return
        if beat.leaving:
            alive.pop(beat.worker, None)
        else:
            alive[beat.worker] = min(beat.at, now)

    async def _flow(self, group: str, topics: Collection[str], admin: Admin, consumer: Consumer) -> Flow:
        """Where a group of consumers stands, and how many records lie before it; 0 when they are but marks."""
        counts = await admin.partitions(topics)
        partitions = [TopicPartition(topic, number) for topic, count in counts.items() for number in range(count)]
        committed = await admin.committed(self._topics.group(group))
        first = await consumer.beginning_offsets([p for p in partitions if p not in committed])
        ends = await consumer.end_offsets(partitions)
        here = {p: committed.get(p, first.get(p, 0)) for p in partitions}
        before = {p: ends[p] - here[p] for p in partitions if ends[p] > here[p]}
        position = sum(here.values())
        stands, self._stood[group] = self._stood.get(group) == position, position
        # Transaction marks lie behind the last record of a partition and nobody ever passes them.
        if stands and before and not await self._holds(here, before):
            return Flow(position, 0)
        return Flow(position, sum(before.values()))

    async def _holds(self, here: Mapping[TopicPartition, int], before: Collection[TopicPartition]) -> bool:
        """Whether one of these partitions has a record to be read."""
        consumer = self._broker.consumer(client_id="muster-alerts-probe")
        consumer.assign(before)
        try:
            await consumer.start()
            for partition in before:
                await consumer.seek(partition, here[partition])
            return bool(await consumer.poll(max_records=1, timeout=PROBE_SECONDS))
        finally:
            await consumer.stop()

    async def _projection(self, projected: Projected, consumer: Consumer) -> Flow | None:
        """None: the tracker's tables cannot be seen from here."""
        stored = await projected((self._topics.events, self._topics.retry, self._topics.dead_letter))
        if not stored:
            return None
        here = {TopicPartition(*place): offset for place, offset in stored.items()}
        ends = await consumer.end_offsets(list(here))
        return Flow(sum(here.values()), sum(max(0, end - here[p]) for p, end in ends.items()))
