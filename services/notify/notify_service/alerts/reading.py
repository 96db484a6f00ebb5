"""The consumer loop: reads `tasks.dead-letter`, puts it in order, hands it to the ledger. Deciding is domain/'s.

No consumer group: which process reads, and from where, is said by PostgreSQL, in the transaction of what was decided.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime

from muster.adapters.postgres import DATABASE_FAILURES
from muster.contracts.errors import BrokerError
from muster.contracts.topics import Topics
from muster.observability.logging import get_logger
from muster.observability.metrics import ALERT_LAG, ALERT_LAST_TURN, ALERT_LETTERS, ALERTS
from muster.ports import Broker, Clock, Consumer, TopicPartition

from notify_service.alerts.ledger import Fenced, Ledger
from notify_service.alerts.letters import letter_of
from notify_service.domain.alerting import Letter
from notify_service.domain.merging import Merge

#: Letters that wait in memory until the other partitions have been read as far.
HELD = 20_000
MAX_BATCH = 2_000
POLL_SECONDS = 0.5
#: Windows that end are looked for, and the lead is kept, this often.
TICK_SECONDS = 1.0
STANDBY_SECONDS = 2.0
RETRY_SECONDS = 0.5

_log = get_logger(__name__)


class Reading:
    """Reads while this process leads, waits otherwise."""

    def __init__(self, broker: Broker, topics: Topics, ledger: Ledger, clock: Clock) -> None:
        self._broker = broker
        self._topics = topics
        self._ledger = ledger
        self._clock = clock
        self._stopping = asyncio.Event()
        #: False: the last attempt failed for want of Kafka.
        self.kafka_answers = True
        #: Where reading stands in all, and what lies before it.
        self.position, self.behind = 0, 0
        #: Monotonic, of the last look in which nothing failed; None before the first.
        self.turned: float | None = None

    def stop(self) -> None:
        """Finish the batch under way; `run` returns when that is written."""
        self._stopping.set()

    async def run(self) -> None:
        """Read until `stop`; outages of Kafka and PostgreSQL are waited out."""
        while not self._stopping.is_set():
            try:
                if await self._ledger.lead():
                    await self._read()
                else:
                    self.turned = self._clock.monotonic()
                    await self._pause(STANDBY_SECONDS)
            except Fenced as error:
                _log.warning("Another process reads the dead letters", action="alerts.fenced", error=str(error))
            except BrokerError as error:
                self.kafka_answers = False
                await self._wait_out("Kafka", error)
            except DATABASE_FAILURES as error:
                await self._wait_out("PostgreSQL", error)
        if self._ledger.leads:
            await self._ledger.resign()

    async def _read(self) -> None:
        consumer = self._broker.consumer(client_id="muster-alerts")
        partitions = await self._partitions()
        consumer.assign(partitions)
        await consumer.start()
        try:
            here = await self._seek(consumer, partitions)
            _log.info("Reading dead letters", action="alerts.leading", offsets=sum(here.values()))
            turn = _Turn(consumer, Merge(partitions), here)
            while not self._stopping.is_set():
                await self._turn(turn)
        finally:
            await consumer.stop()

    async def _partitions(self) -> list[TopicPartition]:
        admin = self._broker.admin()
        await admin.start()
        try:
            count = (await admin.partitions([self._topics.dead_letter])).get(self._topics.dead_letter, 0)
        finally:
            await admin.stop()
        if not count:
            raise BrokerError(f"the topic {self._topics.dead_letter} is missing: run `muster topics apply`")
        return [TopicPartition(self._topics.dead_letter, number) for number in range(count)]

    async def _seek(self, consumer: Consumer, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        stored = await self._ledger.offsets()
        first = await consumer.beginning_offsets(partitions)
        here = {p: max(stored.get(p.partition, 0), first[p]) for p in partitions}
        for partition, offset in here.items():
            await consumer.seek(partition, offset)
        return here

    async def _turn(self, turn: _Turn) -> None:
        """Read on, and let time pass as far as nothing older can come."""
        now = self._clock.now()
        ends = await turn.consumer.end_offsets(list(turn.here))
        hungry = turn.merge.hungry(turn.caught_up, HELD)
        records = await turn.consumer.poll(max_records=MAX_BATCH, timeout=POLL_SECONDS, only=hungry)
        seen = self._clock.now()
        for record in records:
            letter = letter_of(record, self._topics, seen)
            turn.merge.add(record.source, record.offset, letter.at, letter)
        positions = {partition: await turn.consumer.position(partition) for partition in turn.here}
        turn.caught_up = frozenset(partition for partition, end in ends.items() if positions[partition] >= end)
        self.kafka_answers = True
        await self._fold(turn, now)
        self.position = sum(turn.here.values())
        self.behind = sum(max(0, end - positions[p]) for p, end in ends.items()) + len(turn.merge)
        ALERT_LAG.set(self.behind)
        ALERT_LAST_TURN.set(self._clock.now().timestamp())
        self.turned = self._clock.monotonic()

    async def _fold(self, turn: _Turn, now: datetime) -> None:
        held, until = turn.merge.ready(turn.caught_up, now)
        if until is None or not (held or self._clock.monotonic() - turn.ticked >= TICK_SECONDS):
            return
        letters = [replace(one.item, at=one.at) for one in held]
        offsets = {one.partition: one.offset + 1 for one in held}
        alerts = await self._ledger.fold(letters, until, {p.partition: offset for p, offset in offsets.items()})
        turn.here.update(offsets)
        turn.ticked = self._clock.monotonic()
        ALERT_LETTERS.inc(len(letters))
        for alert in alerts:
            ALERTS.labels(alert.kind).inc()
            _log.info(
                "Alert", action=f"alerts.{alert.kind}", alert=str(alert.id), severity=alert.severity,
                task_type=alert.failed.task, kind=alert.failed.kind, count=alert.count, total=alert.total,
            )  # fmt: skip

    async def _wait_out(self, what: str, error: BaseException) -> None:
        reason = f"{type(error).__name__}: {str(error)[:300]}"
        _log.warning(f"{what} does not answer", action="alerts.waiting", error=reason)
        await self._pause(RETRY_SECONDS)

    async def _pause(self, seconds: float) -> None:
        """Sleep, but not past `stop`."""
        sleeping = asyncio.ensure_future(self._clock.sleep(seconds))
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait({sleeping, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            stopping.cancel()


class _Turn:
    """What is known between two turns of one lead."""

    def __init__(
        self, consumer: Consumer, merge: Merge[TopicPartition, Letter], here: dict[TopicPartition, int]
    ) -> None:
        self.consumer = consumer
        self.merge = merge
        #: The next offset to fold of each partition; what lies in `merge` is not folded.
        self.here = here
        self.caught_up: frozenset[TopicPartition] = frozenset()
        self.ticked = 0.0
