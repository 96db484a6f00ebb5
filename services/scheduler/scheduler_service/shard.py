"""Moves the records of one shard: partition n of `tasks.retry` and the partitions n of every retry topic.

Which shards are ours is membership.py's part; where a record goes is the wheel's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack

from muster.contracts.topics import Topics
from muster.observability.logging import get_logger
from muster.observability.metrics import DELAY_HOPS, DELAY_LATENESS, DELAY_WAITING
from muster.observability.tracing import forwarded
from muster.ports import Bookmark, Broker, Clock, Consumer, Record, TopicPartition, TransactionalProducer

from scheduler_service.outgoing import Outgoing, to_dead_letter, to_lane, to_retry_topic
from scheduler_service.progress import Progress
from scheduler_service.waiting import Waiting
from scheduler_service.wheel import To, Traveller, Wheel

#: Records per transaction and per poll: a transaction of this size takes some ten milliseconds.
BATCH = 500
BATCH_BYTES = 8 * 1024 * 1024
#: Longest wait for new records: also how soon a stop is seen.
POLL_SECONDS = 0.2
#: A record that can go on within this time waits in memory, uncommitted; one that cannot is read again later.
HORIZON_SECONDS = 1.5
#: A partition set aside is read again this long before its head can go on: an answer of the broker to the reader's
#: last question may be half a second away.
HEADSTART_SECONDS = 0.75
#: When the memory is full, or a note would be too long, look again after this.
FULL_SECONDS = 0.1

_log = get_logger(__name__)


class Shard:
    """One session of moving: from `start` until `stop` or an error, after which a new one must be made.

    Its transactional id belongs to the shard, not to the process: whoever takes the shard over fences who had it
    before and ends its open transaction. One id per partition would do the same with ten times the connections.
    """

    def __init__(
        self,
        number: int,
        partitions: Sequence[TopicPartition],
        broker: Broker,
        topics: Topics,
        clock: Clock,
        worker: str,
    ) -> None:
        self.number = number
        self._partitions = partitions
        #: True from the first look for records on.
        self.ready = False
        self._topics = topics
        self._clock = clock
        self._worker = worker
        self._wheel = Wheel(topics)
        self._group = topics.group("scheduler")
        self._broker = broker
        self._producer: TransactionalProducer = broker.transactional_producer(f"{self._group}.{number}")
        self._consumer: Consumer = broker.consumer(client_id=f"{worker}.{number}")
        self._progress: dict[TopicPartition, Progress] = {}
        #: Partitions not read before an instant.
        self._aside: dict[TopicPartition, float] = {}
        self._waiting = Waiting()

    async def run(self, stop: asyncio.Event) -> None:
        """Move records until `stop` is set.

        Raises:
            BrokerError: Kafka did not answer, or another process has taken the shard over.
        """
        async with AsyncExitStack() as stack:
            # First of all: from here on no older owner can commit, so the offsets read next are final.
            stack.push_async_callback(self._producer.stop)
            await self._producer.start()
            stack.push_async_callback(self._consumer.stop)
            await self._seek()
            stack.callback(self._forget)
            self.ready = True
            while not stop.is_set():
                self._wake()
                records = await self._consumer.poll(max_records=BATCH, timeout=self._patience())
                for record in records:
                    await self._take(record)
                await self._move_on()

    async def _seek(self) -> None:
        """Begin where the last owner stopped; at the beginning of what nobody has read."""
        admin = self._broker.admin()
        await admin.start()
        try:
            bookmarks = await admin.bookmarks(self._group)
        finally:
            await admin.stop()
        partitions = self._partitions
        self._consumer.assign(partitions)
        await self._consumer.start()
        ends = await self._consumer.end_offsets(partitions)
        firsts = await self._consumer.beginning_offsets(partitions)
        for partition in partitions:
            start = bookmarks.get(partition, Bookmark(firsts[partition]))
            if start.offset > ends[partition]:
                _log.warning("Topic was made anew", action="shard.reset", topic=partition.topic, offset=start.offset)
                start = Bookmark(firsts[partition])
            self._progress[partition] = _progress(partition, start)
            await self._consumer.seek(partition, max(start.offset, firsts[partition]))

    def _patience(self) -> float:
        """How long nothing but a new record can happen."""
        soonest = min((self._waiting.soonest, *self._aside.values())) - self._now()
        return min(POLL_SECONDS, max(soonest, 0.001)) if soonest > 0 else 0.0

    def _wake(self) -> None:
        now = self._now()
        ready = [partition for partition, instant in self._aside.items() if instant <= now]
        for partition in ready:
            del self._aside[partition]
        if ready:
            self._consumer.resume(ready)

    async def _take(self, record: Record) -> None:
        """Keep a record that can go on soon; else leave it, and all behind it, for a later reading."""
        partition, now = record.source, self._now()
        if partition in self._aside or not self._progress[partition].take(record.offset):
            return
        traveller = self._wheel.read(record)
        step = self._wheel.step(traveller, now)
        can_go = now if isinstance(step, To) else step.until
        later = can_go - HEADSTART_SECONDS if can_go > now + HORIZON_SECONDS else 0.0
        if not later and can_go > now and self._waiting.full:
            later = now + FULL_SECONDS
        if later:
            self._progress[partition].put_back(record.offset)
            await self._consumer.seek(partition, record.offset)
            self._consumer.pause([partition])
            self._aside[partition] = later
        else:
            self._waiting.add(traveller, can_go)

    async def _move_on(self) -> None:
        """Move everything that can go on now: the records and the offsets they came from in one transaction."""
        now = self._now()
        moves = self._within_notes(self._due(now), now)
        if moves:
            for traveller, _ in moves:
                self._progress[traveller.record.source].moved(traveller.record.offset)
            sources = {traveller.record.source for traveller, _ in moves}
            offsets = {source: self._progress[source].bookmark() for source in sources}
            records = [self._outgoing(traveller, topic) for traveller, topic in moves]
            await self._producer.move(records, offsets, self._group)
            self._tell(moves)
        DELAY_WAITING.labels(str(self.number)).set(len(self._waiting))

    def _due(self, now: float) -> list[tuple[Traveller, str]]:
        """Take at most one batch from memory; what turns out to wait for its due time goes back."""
        moves: list[tuple[Traveller, str]] = []
        for traveller in self._waiting.take(now, most=BATCH, most_bytes=BATCH_BYTES):
            step = self._wheel.step(traveller, now)
            if isinstance(step, To):
                moves.append((traveller, step.topic))
            else:
                self._waiting.add(traveller, step.until)
        return moves

    def _within_notes(self, moves: list[tuple[Traveller, str]], now: float) -> list[tuple[Traveller, str]]:
        """Without those that would leave too many standing records behind them; they try again soon."""
        ready: dict[TopicPartition, set[int]] = {}
        for traveller, _ in moves:
            ready.setdefault(traveller.record.source, set()).add(traveller.record.offset)
        movable = {source: set(self._progress[source].movable(offsets)) for source, offsets in ready.items()}
        allowed = []
        for traveller, topic in moves:
            if traveller.record.offset in movable[traveller.record.source]:
                allowed.append((traveller, topic))
            else:
                self._waiting.add(traveller, now + FULL_SECONDS)
        return allowed

    def _outgoing(self, traveller: Traveller, topic: str) -> Outgoing:
        if topic == self._topics.dead_letter:
            return to_dead_letter(traveller, self._worker, self._clock.now())
        return to_lane(traveller) if topic == traveller.destination else to_retry_topic(traveller, topic)

    def _tell(self, moves: list[tuple[Traveller, str]]) -> None:
        now = self._now()
        for traveller, topic in moves:
            DELAY_HOPS.labels(topic).inc()
            record, task = traveller.record, traveller.task
            if traveller.refusal:
                _log.warning(
                    "Refused a record that is no delayed task", action="shard.invalid", task_id=task.task_id,
                    topic=record.topic, partition=record.partition, offset=record.offset, error=traveller.refusal,
                )  # fmt: skip
            elif topic == traveller.destination and traveller.due:
                DELAY_LATENESS.observe(max(0.0, now - traveller.due))
                forwarded(task, topic)

    def _forget(self) -> None:
        self.ready = False
        DELAY_WAITING.labels(str(self.number)).set(0)

    def _now(self) -> float:
        return self._clock.now().timestamp()


def _progress(partition: TopicPartition, start: Bookmark) -> Progress:
    try:
        return Progress(start)
    except ValueError as error:
        # Somebody else wrote it. Without it, records moved ahead of the offset move once more: late is not lost.
        _log.error("Unreadable note", action="shard.note_unreadable", topic=partition.topic, error=str(error))
        return Progress(Bookmark(start.offset))
