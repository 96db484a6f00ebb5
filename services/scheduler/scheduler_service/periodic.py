"""Fires the schedules of `tasks.schedules`, from one session's start to its end. Who may is membership.py's part.

Where a schedule stands is a note in the same topic, written in the transaction of the fire: a killed owner has done
both or neither, and the transactional id fences one that does not know yet that it was replaced. No database, no lock.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import timedelta

import msgspec
from muster.contracts.errors import InvalidSchedule
from muster.contracts.schedule import SEEDED_KEY, Schedule, encode_schedule, fired_key
from muster.contracts.topics import Topics
from muster.observability.logging import get_logger
from muster.observability.metrics import SCHEDULE_FIRES, SCHEDULE_LAST, SCHEDULE_LATENESS, SCHEDULE_PASSED, SCHEDULES
from muster.ports import Broker, Clock, Consumer, TopicPartition, TransactionalProducer

from scheduler_service.firing import to_records
from scheduler_service.outgoing import Outgoing
from scheduler_service.timetable import Fire, Passed, Timetable

#: Longest wait for news of the topic: also how soon a stop, or a clock that was set, is seen.
POLL_SECONDS = 0.2
READ_AT_ONCE = 500
#: Fires per transaction.
BATCH = 100

_log = get_logger(__name__)


class Periodic:
    """One session of firing: from `run` until `stop` or an error, after which a new one must be made."""

    def __init__(
        self, broker: Broker, topics: Topics, clock: Clock, worker: str, defaults: Sequence[Schedule] = ()
    ) -> None:
        #: True once the topic has been read and the defaults stand in it.
        self.ready = False
        self._topics = topics
        self._clock = clock
        self._defaults = defaults
        self._group = topics.group("scheduler")
        self._partition = TopicPartition(topics.schedules, 0)
        self._producer: TransactionalProducer = broker.transactional_producer(f"{self._group}.schedules")
        self._consumer: Consumer = broker.consumer(client_id=f"{worker}.schedules")
        self._timetable = Timetable()

    async def run(self, stop: asyncio.Event) -> None:
        """Fire what is due until `stop` is set.

        Raises:
            BrokerError: Kafka did not answer, or another process fires the schedules now.
        """
        async with AsyncExitStack() as stack:
            # First of all: from here on no older owner can fire, so the notes read next are final.
            stack.push_async_callback(self._producer.stop)
            await self._producer.start()
            stack.push_async_callback(self._consumer.stop)
            await self._read_all()
            await self._seed()
            stack.callback(self._forget)
            self.ready = True
            while not stop.is_set():
                await self._fire()
                await self._read(self._patience())

    async def _read_all(self) -> None:
        self._consumer.assign([self._partition])
        await self._consumer.start()
        await self._consumer.seek_to_beginning([self._partition])
        end = (await self._consumer.end_offsets([self._partition]))[self._partition]
        while await self._consumer.position(self._partition) < end:
            await self._read(POLL_SECONDS)

    async def _read(self, timeout: float) -> None:
        for record in await self._consumer.poll(max_records=READ_AT_ONCE, timeout=timeout):
            try:
                self._timetable.fold(record)
            except InvalidSchedule as error:
                _log.error(
                    "A schedule cannot be used", action="schedule.invalid", offset=record.offset, error=str(error)
                )
        SCHEDULES.set(len(self._timetable))

    async def _seed(self) -> None:
        """Write the defaults that this installation has never had; one that was deleted stays deleted."""
        table, now = self._timetable, self._clock.now()
        missing = [item for item in self._defaults if item.name not in table and item.name not in table.seeded]
        if not missing:
            return
        dated = [msgspec.structs.replace(item, since=now) for item in missing]
        records = [self._record(item.name.encode(), encode_schedule(item)) for item in dated]
        names = sorted({*table.seeded, *(item.name for item in self._defaults)})
        await self._write([*records, self._record(SEEDED_KEY.encode(), msgspec.json.encode(names))])
        _log.info("Schedules written", action="schedule.seeded", schedules=[item.name for item in missing])

    async def _fire(self) -> None:
        """Everything that is due: each task and its note, or neither."""
        fires, passed = self._timetable.due(self._clock.now())
        _tell_passed(passed)
        for start in range(0, len(fires), BATCH):
            batch, now = fires[start : start + BATCH], self._clock.now()
            await self._write([record for fire in batch for record in to_records(fire, self._topics, now)])
            for fire in batch:
                self._tell(fire)
        if orphans := self._timetable.orphans:
            await self._write([self._record(fired_key(name), None) for name in orphans])
            self._timetable.forget(orphans)

    async def _write(self, records: Sequence[Outgoing]) -> None:
        # No offsets go with it: what was read is not consumed, and the notes say how far it was followed.
        await self._producer.move(records, {}, self._group)

    def _record(self, key: bytes, value: bytes | None) -> Outgoing:
        return self._topics.schedules, key, value, ()

    def _patience(self) -> float:
        upcoming = self._timetable.upcoming
        if upcoming is None:
            return POLL_SECONDS
        return min(POLL_SECONDS, max((upcoming - self._clock.now()) / timedelta(seconds=1), 0.001))

    def _tell(self, fire: Fire) -> None:
        late = (self._clock.now() - fire.instant).total_seconds()
        name = fire.schedule.name
        SCHEDULE_FIRES.labels(name).inc()
        SCHEDULE_LAST.labels(name).set(fire.instant.timestamp())
        SCHEDULE_LATENESS.observe(max(0.0, late))
        _log.info(
            "Fired", action="schedule.fired", schedule=name, task_id=fire.task_id, instant=fire.instant.isoformat(),
            late_seconds=round(late, 3),
        )  # fmt: skip

    def _forget(self) -> None:
        self.ready = False
        SCHEDULES.set(0)


def _tell_passed(passed: list[Passed]) -> None:
    for item in passed:
        SCHEDULE_PASSED.labels(item.schedule).inc(item.count)
        _log.warning(
            "Instants were missed and do not fire", action="schedule.passed", schedule=item.schedule, count=item.count
        )
