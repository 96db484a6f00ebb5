"""Writes records to Kafka and folds them at once, so that the next read sees them. What they say is the caller's."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from muster.ports import Clock, Producer, Record

from tracker_service.projection.fold import Fold
from tracker_service.projection.reading import Reader
from tracker_service.projection.store import Store


class Scribe:
    """The projector meets the same records later and changes nothing by them."""

    def __init__(self, producer: Producer, reader: Reader, store: Store, clock: Clock) -> None:
        self._producer = producer
        self._reader = reader
        self._store = store
        self._clock = clock

    async def write(self, topic: str, records: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Write (key, value) records; returns when Kafka has them all and their rows are stored.

        Raises:
            BrokerError, StoreError, UNAVAILABLE: some may be written; writing them again changes nothing.
        """
        pairs = list(records)
        stamp = int(self._clock.now().timestamp() * 1000)
        sent = [await self._producer.send(topic, value, key=key) for key, value in pairs]
        fold = Fold()
        for position, (key, value) in zip(await asyncio.gather(*sent), pairs, strict=True):
            self._reader.read(Record(*position, stamp, key, value, ()), fold)
        if pairs:
            await self._store.write(fold, {})
