"""Moves records and offsets in Kafka transactions: all or nothing. Which records move is the scheduler's business."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka import TopicPartition as KafkaPartition

from muster.adapters.kafka_errors import KAFKA_FAILURES, broker_error
from muster.adapters.kafka_producer import COMMON_OPTIONS, LARGE_BYTES, start_producer, stop_producer
from muster.contracts.errors import BrokerError
from muster.ports import Bookmark, Headers, TopicPartition

#: The broker aborts a transaction left open this long; until then readers of its partitions wait.
TRANSACTION_MS = 5000
#: A move that lasts longer is given up: the broker has aborted it long ago.
MOVE_SECONDS = 30.0
ABORT_SECONDS = 5.0


class KafkaTransactionalProducer:
    """One transactional id (ports.TransactionalProducer); after a BrokerError it must be stopped, not used again.

    When the answer to the commit itself is lost, the move may have happened; records and offsets agree all the same,
    so who goes on from the committed offsets repeats and skips nothing.
    """

    def __init__(self, connection: dict[str, Any], transactional_id: str) -> None:
        self._options = {
            **connection,
            **COMMON_OPTIONS,
            "client_id": transactional_id,
            "transactional_id": transactional_id,
            "transaction_timeout_ms": TRANSACTION_MS,
            # The whole batch is queued before the loop runs: waiting for more would only add latency.
            "linger_ms": 0,
        }
        self._producer: AIOKafkaProducer | None = None

    async def start(self) -> None:
        """Fence every older producer with the same transactional id.

        Raises:
            BrokerError: no broker answered, or the transactional id was refused.
        """
        self._producer = await start_producer(self._options)

    async def stop(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            await stop_producer(producer)

    async def move(
        self,
        records: Sequence[tuple[str, bytes | None, bytes | None, Headers]],
        offsets: Mapping[TopicPartition, int | Bookmark],
        group: str,
    ) -> None:
        producer = self._producer
        if producer is None:
            raise BrokerError("the transactional producer is not running: nothing was moved")
        if not records and not offsets:
            return
        try:
            async with asyncio.timeout(MOVE_SECONDS):
                await producer.begin_transaction()
                await _write(producer, records)
                if offsets:
                    committed = {KafkaPartition(*partition): offset for partition, offset in offsets.items()}
                    await producer.send_offsets_to_transaction(committed, group)
                await producer.commit_transaction()
        except KAFKA_FAILURES as error:
            await _abort(producer)
            raise broker_error(f"move {len(records)} records for {group}", error) from error
        except asyncio.CancelledError:
            await _abort(producer)
            raise


async def _abort(producer: AIOKafkaProducer) -> None:
    """Abort where that is still possible; a fenced producer has nothing open, and without a broker time does it."""
    # Not aiokafka's `async with producer.transaction()`: its abort waits for ever while no broker answers.
    with suppress(*KAFKA_FAILURES):
        async with asyncio.timeout(ABORT_SECONDS):
            await producer.abort_transaction()


async def _write(
    producer: AIOKafkaProducer, records: Sequence[tuple[str, bytes | None, bytes | None, Headers]]
) -> None:
    written: list[asyncio.Future[Any]] = []
    for topic, key, value, headers in records:
        future = await producer.send(topic, value, key, None, None, list(headers))
        written.append(future)
        if value is not None and len(value) > LARGE_BYTES:
            # One request holds one batch per partition; several large ones would pass the broker's 100 MiB.
            await future
    await asyncio.gather(*written)
