"""Reads a small topic from its beginning to its present end: the catalog, the heartbeats. Follows nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from muster.contracts.errors import BrokerError
from muster.ports import Broker, Consumer, Record, TopicPartition

READ_SECONDS = 15.0


async def read_to_end(broker: Broker, topic: str, *, timeout: float = READ_SECONDS) -> AsyncGenerator[Record, None]:
    """Every record that the topic held when the reading began, partition by partition in order.

    Raises:
        BrokerError: Kafka did not hand them over within `timeout` seconds.
    """
    partitions = await partitions_of(broker, topic)
    consumer = broker.consumer(group=None, client_id="muster-reader")
    consumer.assign(partitions)
    await consumer.start()
    try:
        async for record in _until_end(consumer, partitions, topic, timeout):
            yield record
    finally:
        await consumer.stop()


async def partitions_of(broker: Broker, topic: str) -> list[TopicPartition]:
    """Every partition of a topic.

    Raises:
        BrokerError: there is no such topic.
    """
    admin = broker.admin()
    await admin.start()
    try:
        count = (await admin.partitions([topic])).get(topic, 0)
    finally:
        await admin.stop()
    if not count:
        raise BrokerError(f"topic {topic} does not exist: create the topics with `muster topics apply`")
    return [TopicPartition(topic, number) for number in range(count)]


async def _until_end(
    consumer: Consumer, partitions: list[TopicPartition], topic: str, timeout: float
) -> AsyncGenerator[Record, None]:
    begin, end = await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)
    await consumer.seek_to_beginning(partitions)
    missing = {partition for partition in partitions if begin[partition] < end[partition]}
    deadline = asyncio.get_running_loop().time() + timeout
    while missing:
        for record in await consumer.poll(timeout=0.2):
            yield record
        # The position also passes what no reader sees: transaction markers, and records compacted away.
        missing = {partition for partition in missing if await consumer.position(partition) < end[partition]}
        if missing and asyncio.get_running_loop().time() > deadline:
            raise BrokerError(f"topic {topic} could not be read to its end within {timeout:g} s")
