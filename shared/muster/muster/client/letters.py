"""Reads dead letters straight from Kafka, one at a time, and chooses among them.

Running them again is redriving.py's.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from datetime import datetime
from typing import NamedTuple

import msgspec

from muster.client.reading import partitions_of
from muster.contracts.dead_letter import Provenance, parse_provenance
from muster.contracts.errors import UNREADABLE, BrokerError
from muster.ports import Broker, Consumer, Record, TopicPartition

#: Few enough that a batch of the largest letters still fits into memory.
POLL_RECORDS = 100
#: Nothing came for so long: Kafka is away.
SILENCE_SECONDS = 15.0

OnProgress = Callable[[int, int], None]


class Letter(NamedTuple):
    """A dead letter and why it failed."""

    record: Record
    why: Provenance

    @property
    def fingerprint(self) -> str:
        """What letters of one cause have in common; made of kind and error where the worker named none."""
        failure = self.why.failure
        return failure.fingerprint or f"{failure.kind}/{failure.error}"


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """Which letters are meant; None: all. `since` is an aware instant, `text` is found in any case of its letters."""

    ids: frozenset[str] | None = None
    task_type: str | None = None
    kind: str | None = None
    fingerprint: str | None = None
    since: datetime | None = None
    text: str | None = None

    def takes(self, letter: Letter) -> bool:
        why = letter.why
        return (
            (self.ids is None or why.task_id in self.ids)
            and self.task_type in (None, why.task_type)
            and self.kind in (None, why.failure.kind)
            and self.fingerprint in (None, letter.fingerprint)
            and (self.since is None or _aware(why.failed_at) >= self.since)
            and (self.text is None or self.text.casefold() in _words(why))
        )


class Rounds:
    """The highest round each redriven task has failed in. Grows with the tasks that were redriven, not with letters."""

    def __init__(self) -> None:
        self._highest: dict[str, int] = {}

    def note(self, why: Provenance) -> None:
        if why.redrive > self._highest.get(why.task_id, 0):
            self._highest[why.task_id] = why.redrive

    def is_last(self, task_id: str, redrive: int) -> bool:
        """False when a later letter shows that the task was redriven after this round."""
        return redrive >= self._highest.get(task_id, 0)


async def read_letters(
    broker: Broker, topic: str, on_progress: OnProgress = lambda done, total: None
) -> AsyncGenerator[Letter, None]:
    """Every letter that the topic held when the reading began; records that are no letters are passed over.

    `on_progress` is told how many of how many records have been passed.

    Raises:
        BrokerError: the topic does not exist, or Kafka fell silent.
    """
    partitions = await partitions_of(broker, topic)
    consumer = broker.consumer(group=None, client_id="muster-dlq")
    consumer.assign(partitions)
    await consumer.start()
    try:
        async for record in _to_end(consumer, partitions, on_progress):
            try:
                yield Letter(record, parse_provenance(record.headers))
            except UNREADABLE:
                continue
    finally:
        await consumer.stop()


async def _to_end(
    consumer: Consumer, partitions: list[TopicPartition], on_progress: OnProgress
) -> AsyncGenerator[Record, None]:
    begin, end = await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)
    await consumer.seek_to_beginning(partitions)
    total = sum(end[partition] - begin[partition] for partition in partitions)
    clock, here = asyncio.get_running_loop(), dict(begin)
    heard_at = clock.time()
    while any(here[partition] < end[partition] for partition in partitions):
        for record in await consumer.poll(max_records=POLL_RECORDS, timeout=0.5):
            if record.offset < end[record.source]:
                yield record
        before = sum(here.values())
        # The position also passes what no reader sees, such as transaction markers.
        here = {p: min(end[p], max(begin[p], await consumer.position(p))) for p in partitions}
        passed = sum(here.values())
        if passed > before:
            heard_at = clock.time()
        elif clock.time() - heard_at > SILENCE_SECONDS:
            raise BrokerError(f"{partitions[0].topic} could not be read to its end: Kafka fell silent")
        on_progress(passed - sum(begin.values()), total)


def _words(why: Provenance) -> str:
    failure = why.failure
    return "\n".join((why.task_id, why.task_type, failure.error, failure.message, why.traceback)).casefold()


def _aware(instant: datetime) -> datetime:
    return instant if instant.tzinfo else instant.astimezone()
