"""Reads records again by their pointers, many at once. What is done with them is redelivery.py's."""

from __future__ import annotations

from collections.abc import Collection

from muster.contracts.errors import BrokerError
from muster.ports import Broker, Clock, Consumer, Position, Record, TopicPartition

POLL_RECORDS = 500
#: Reading on is cheaper than seeking up to about this many records.
NEAR = 1000
PATIENCE_SECONDS = 20.0


class Originals:
    """A reader without a group."""

    def __init__(self, broker: Broker, clock: Clock) -> None:
        self._consumer: Consumer = broker.consumer(client_id="muster-tracker-originals")
        self._clock = clock
        self._started = False

    async def stop(self) -> None:
        if self._started:
            await self._consumer.stop()

    async def read(self, pointers: Collection[Position]) -> dict[Position, Record]:
        """The records at these positions; those that retention has deleted are missing.

        Raises:
            BrokerError: Kafka did not give them in time.
        """
        found: dict[Position, Record] = {}
        wanted: dict[TopicPartition, list[int]] = {}
        for pointer in sorted(set(pointers)):
            wanted.setdefault(TopicPartition(pointer.topic, pointer.partition), []).append(pointer.offset)
        for partition, offsets in wanted.items():
            self._consumer.assign([partition])
            if not self._started:
                await self._consumer.start()
                self._started = True
            await self._read_partition(partition, offsets, found)
        return found

    async def _read_partition(
        self, partition: TopicPartition, offsets: list[int], found: dict[Position, Record]
    ) -> None:
        """Read forward from the smallest offset; what is passed without being seen is gone."""
        remaining = offsets[::-1]
        here = -1
        deadline = self._clock.monotonic() + PATIENCE_SECONDS
        while remaining:
            if not 0 <= remaining[-1] - here <= NEAR or here < 0:
                here = remaining[-1]
                await self._consumer.seek(partition, here)
            records = await self._consumer.poll(max_records=POLL_RECORDS, timeout=0.5)
            for record in records:
                if remaining and record.offset == remaining[-1]:
                    found[Position(*partition, record.offset)] = record
                while remaining and remaining[-1] <= record.offset:
                    remaining.pop()
                here = record.offset + 1
            if not records:
                here = max(here, await self._consumer.position(partition))
                while remaining and remaining[-1] < here:
                    remaining.pop()
                if self._clock.monotonic() > deadline:
                    raise BrokerError(f"records of {partition.topic}/{partition.partition} could not be read in time")
