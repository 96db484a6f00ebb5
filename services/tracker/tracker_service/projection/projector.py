"""The consumer loop: polls every folded topic, folds, stores rows and offsets together. What facts mean is fold.py's.

Kafka's group only deals the partitions out. Where to read is said by the offsets in PostgreSQL, which change in the
same transaction as the rows: a record is folded once, however often this process or its partitions move.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from typing import TypeAlias

import asyncpg
from muster.contracts.errors import BrokerError
from muster.contracts.topics import Topics
from muster.observability.logging import get_logger
from muster.observability.metrics import BATCH_SECONDS, PROJECTED, PROJECTION_LAG_RECORDS, UNREADABLE
from muster.ports import Broker, Clock, Record, TopicPartition

from tracker_service.projection.fold import Fold
from tracker_service.projection.freshness import Freshness
from tracker_service.projection.reading import UNREADABLE as UNREADABLE_ERRORS
from tracker_service.projection.reading import Reader
from tracker_service.projection.store import UNAVAILABLE, OffsetsMoved, Store

#: Large enough that a task's three records, which lie in different partitions, mostly meet in memory, also after an
#: outage, when Kafka gives a megabyte of one partition after the other.
MAX_BATCH = 20_000
#: Records folded before the API gets the loop: about 3 ms.
SLICE = 250
#: While records pour in, they are gathered this long: a transaction costs as much as a hundred rows.
GATHER_SECONDS = 0.025
BUSY_RECORDS = 20
#: A task that has just come is mostly begun, and a short one over, within this time: then it is written once.
LANE_SECONDS = 0.006
IDLE_POLL_SECONDS = 0.5
#: Offsets past transaction markers, and the lag, are looked at this often.
LOOK_SECONDS = 2.0
RETRY_SECONDS = 0.5

#: Next offset to fold by partition.
Offsets: TypeAlias = dict[TopicPartition, int]

_log = get_logger(__name__)


class Projector:
    """One tracker's share of the projection; a `RebalanceListener`."""

    def __init__(self, broker: Broker, topics: Topics, store: Store, freshness: Freshness, clock: Clock) -> None:
        self._reader = Reader(topics)
        self._lanes = frozenset(topics.all_lanes())
        self._consumer = broker.consumer(group=topics.group("tracker"), client_id="muster-tracker")
        self._store = store
        self._freshness = freshness
        self._clock = clock
        #: Of each partition of ours; another object after every move, empty while partitions move.
        self._next: Offsets = {}
        self._joined = False
        self._must_seek = False
        self._stopping = False
        self._looked = clock.monotonic()

    @property
    def joined(self) -> bool:
        """The group has dealt its partitions out; a tracker without any stands by."""
        return self._joined

    def stop(self) -> None:
        """Finish the batch under way, commit it and leave the group; `run` returns when that is done."""
        self._stopping = True

    async def run(self) -> None:
        """Project until `stop`; outages of Kafka and PostgreSQL are waited out."""
        self._consumer.subscribe(self._reader.topics, self)
        await self._consumer.start()
        try:
            while not self._stopping:
                try:
                    await self._turn()
                except BrokerError as error:
                    await self._wait_out("Kafka", error)
                except UNAVAILABLE as error:
                    # Whether the batch was written is unknown: the stored offsets tell.
                    self._must_seek = True
                    await self._wait_out("PostgreSQL", error)
        finally:
            await self._consumer.stop()

    async def on_revoked(self, partitions: Collection[TopicPartition]) -> None:
        """Called before partitions move. A batch under way may still be stored: the offsets are compared there."""
        self._next = {}

    async def on_assigned(self, partitions: Collection[TopicPartition]) -> None:
        """Called with the whole new assignment; the loop reads where to begin before it polls."""
        self._must_seek = True

    async def _turn(self) -> None:
        if self._must_seek:
            await self._seek()
        records = await self._consumer.poll(max_records=MAX_BATCH, timeout=IDLE_POLL_SECONDS)
        if 0 < len(records) < BUSY_RECORDS and self._lanes.issuperset(record.topic for record in records):
            records += await self._consumer.poll(max_records=MAX_BATCH, timeout=LANE_SECONDS)
        if self._must_seek:
            return  # read from where somebody else may have gone on
        # Partitions may move from here on: what was ours at the poll is compared with what is stored at the write.
        expected = self._next
        records = [record for record in records if record.offset >= expected.get(record.source, record.offset + 1)]
        if records:
            began = self._clock.monotonic()
            await self._project(records, expected)
            BATCH_SECONDS.observe(self._clock.monotonic() - began)
        more = len(records) >= MAX_BATCH
        self._freshness.folded(max((record.timestamp_ms for record in records), default=0), more=more)
        if not more and self._clock.monotonic() - self._looked > LOOK_SECONDS:
            await self._look()
        if BUSY_RECORDS <= len(records) < MAX_BATCH:
            await self._clock.sleep(GATHER_SECONDS)

    async def _seek(self) -> None:
        """Go on where the stored offsets stand."""
        self._must_seek = False
        self._next = {}
        partitions = self._consumer.assignment()
        stored = await self._store.begin(dict.fromkeys(sorted(partitions), 0))
        for partition, offset in stored.items():
            await self._consumer.seek(partition, offset)
        if not self._must_seek:
            self._next = stored
            self._joined = True
        _log.info("Projecting", action="projector.assigned", partitions=len(stored))

    async def _project(self, records: Sequence[Record], expected: Offsets) -> None:
        """Fold and store; a value that PostgreSQL refuses costs its own record only."""
        fold = Fold()
        for start in range(0, len(records), SLICE):
            for record in records[start : start + SLICE]:
                self._read(record, fold)
            await asyncio.sleep(0)
        try:
            await self._write(fold, records, expected)
        except OffsetsMoved:
            _log.info("Another tracker folded these records", action="projector.moved", records=len(records))
            self._must_seek = True
        except asyncpg.DataError as error:
            if len(records) == 1:
                self._skip(records[0], error)
                await self._write(Fold(), records, expected)
                return
            middle = len(records) // 2
            await self._project(records[:middle], expected)
            if not self._must_seek:
                await self._project(records[middle:], expected)

    async def _write(self, fold: Fold, records: Sequence[Record], expected: Offsets) -> None:
        following = {record.source: record.offset + 1 for record in records}
        await self._store.write(fold, {p: (expected[p], offset) for p, offset in following.items()})
        expected.update(following)
        counts: dict[str, int] = {}
        for record in records:
            counts[record.topic] = counts.get(record.topic, 0) + 1
        for topic, count in counts.items():
            PROJECTED.labels(topic).inc(count)

    def _read(self, record: Record, fold: Fold) -> None:
        try:
            self._reader.read(record, fold)
        except UNREADABLE_ERRORS as error:
            self._skip(record, error)

    def _skip(self, record: Record, error: BaseException) -> None:
        """One bad record must not stop the projection of all others."""
        UNREADABLE.labels(record.topic).inc()
        _log.warning(
            "Skipped a record that cannot be read", action="projector.unreadable", topic=record.topic,
            partition=record.partition, offset=record.offset, error=str(error)[:300],
        )  # fmt: skip

    async def _look(self) -> None:
        """Pass transaction markers, which no record tells of, and measure the lag."""
        self._looked = self._clock.monotonic()
        if not self._next:
            return
        ends = await self._consumer.end_offsets(list(self._next))
        passed: dict[TopicPartition, tuple[int, int]] = {}
        for partition, end in ends.items():
            here = self._next.get(partition)
            if here is not None and here < end:
                position = await self._consumer.position(partition)
                if position > here:
                    passed[partition] = (here, position)
        if passed and not self._must_seek:
            await self._pass(passed)
        PROJECTION_LAG_RECORDS.set(sum(max(0, end - self._next.get(p, end)) for p, end in ends.items()))

    async def _pass(self, passed: dict[TopicPartition, tuple[int, int]]) -> None:
        expected = self._next
        try:
            await self._store.write(Fold(), passed)
        except OffsetsMoved:
            self._must_seek = True
        else:
            expected.update({partition: position for partition, (_, position) in passed.items()})

    async def _wait_out(self, what: str, error: BaseException) -> None:
        _log.warning(f"{what} does not answer", action="projector.waiting", error=f"{type(error).__name__}: {error}")
        await self._clock.sleep(RETRY_SECONDS)
