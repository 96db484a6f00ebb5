"""Signs what compacted topics keep for ever once more, with the first key. What a signature covers is elsewhere."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

from muster.client.reading import read_to_end
from muster.contracts.signature import SIGNATURE
from muster.contracts.topics import Topics
from muster.ports import Broker, Producer, Record


async def resign(broker: Broker, topics: Topics, key_id: str) -> dict[str, int]:
    """How many records of each topic were written again, under their own keys: those not signed with `key_id` yet.

    Only what is believed is signed: records signed with another key that is accepted and, where they are accepted,
    unsigned ones. A record that somebody writes in the same moment may be overtaken by what it replaces.

    Raises:
        BrokerError: some may not have been written; asking again writes the rest.
    """
    producer = broker.producer(client_id="muster-resign")
    await producer.start()
    try:
        return {topic: await _resign(broker, producer, topic, key_id) for topic in (topics.control, topics.schedules)}
    finally:
        await producer.stop()


async def _resign(broker: Broker, producer: Producer, topic: str, key_id: str) -> int:
    latest: dict[bytes | None, Record] = {}
    async with aclosing(read_to_end(broker, topic)) as records:
        async for record in records:
            latest[record.key] = record
    ours = f"v1:{key_id}:".encode()
    old = [record for record in latest.values() if not dict(record.headers).get(SIGNATURE, b"").startswith(ours)]
    written = [await producer.send(topic, record.value, key=record.key, headers=record.headers) for record in old]
    await asyncio.gather(*written)
    return len(old)
