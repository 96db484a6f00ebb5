"""Writes records to Kafka: idempotent, acks=all. Transactions are in kafka_transaction."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.structs import RecordMetadata

from muster.adapters.kafka_access import not_started
from muster.adapters.kafka_errors import KAFKA_FAILURES, broker_error
from muster.adapters.partitioning import partitioner
from muster.contracts.errors import BrokerError
from muster.contracts.topics import MAX_DEAD_LETTER_BYTES
from muster.ports import Headers, Position

#: Big enough that 1,000 events of 300 bytes fill two batches, small enough for one network round trip.
BATCH_BYTES = 128 * 1024
#: Above this, a record waits for its turn: aiokafka packs one batch per partition into a request, and
#: the broker closes the connection on requests above 100 MiB (socket.request.max.bytes).
LARGE_BYTES = 1024 * 1024
LARGE_AT_ONCE = 2
REQUEST_SECONDS = 20
#: A closing producer gives up after this long without a broker; an idempotent one would try for ever.
STOP_SECONDS = 10.0

COMMON_OPTIONS: dict[str, Any] = {
    "enable_idempotence": True,
    "acks": "all",
    "compression_type": "lz4",
    "max_batch_size": BATCH_BYTES,
    "max_request_size": MAX_DEAD_LETTER_BYTES,
    "request_timeout_ms": REQUEST_SECONDS * 1000,
    "partitioner": partitioner,
}


class KafkaProducer:
    """An idempotent producer (ports.Producer).

    aiokafka retries an idempotent batch for ever: without a broker the futures stay open, and who needs a limit
    sets it where it waits.
    """

    def __init__(self, connection: dict[str, Any], *, client_id: str, linger_ms: int) -> None:
        self._options = {**connection, **COMMON_OPTIONS, "client_id": client_id, "linger_ms": linger_ms}
        self._producer: AIOKafkaProducer | None = None
        self._large = asyncio.Semaphore(LARGE_AT_ONCE)
        self._replacing = asyncio.Lock()
        self._spoiled = False
        self._aborted = False

    async def start(self) -> None:
        """Connect.

        Raises:
            BrokerError: no broker answered.
        """
        self._producer = await start_producer(self._options)
        self._loop = asyncio.get_running_loop()

    async def stop(self) -> None:
        """Write what is queued, then close.

        Raises:
            BrokerError: the broker did not take the rest in time; it may or may not have been written.
        """
        producer, self._producer = self._producer, None
        if producer is not None:
            await stop_producer(producer)

    async def abort(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            self._aborted = True
            await _give_up(producer, BrokerError("the producer was closed and dropped what was queued"))

    async def send(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = None,
        headers: Headers = (),
        partition: int | None = None,
    ) -> asyncio.Future[Position]:
        # Called for every event of every task: one coroutine, no task, one callback (13 -> 15 us of CPU a record).
        large = value is not None and len(value) > LARGE_BYTES
        if large:
            await self._large.acquire()
        try:
            producer = self._producer
            if producer is None or self._spoiled:
                producer = await self._usable(topic)
            written = await producer.send(topic, value, key, partition, None, list(headers))
        except BaseException as error:
            if large:
                self._large.release()
            if isinstance(error, KAFKA_FAILURES):
                raise broker_error(f"write to {topic}", error) from error
            raise
        if large:
            written.add_done_callback(lambda _: self._large.release())
        position: asyncio.Future[Position] = self._loop.create_future()
        written.add_done_callback(partial(self._settle, topic, position))
        return position

    async def flush(self) -> None:
        if self._producer is not None:
            await self._producer.flush()

    async def _usable(self, topic: str) -> AIOKafkaProducer:
        """The producer, or a new one where a batch of the old one was refused."""
        if self._producer is not None and not self._spoiled:
            return self._producer
        async with self._replacing:
            if self._producer is None:
                raise BrokerError(f"the producer is not running: nothing was written to {topic}")
            if self._spoiled:
                # What the old one still holds goes first, so that the order of a key is kept.
                with suppress(BrokerError):
                    await stop_producer(self._producer)
                self._producer = await start_producer(self._options)
                self._spoiled = False
            return self._producer

    def _settle(self, topic: str, position: asyncio.Future[Position], written: asyncio.Future[RecordMetadata]) -> None:
        """Called when the broker answered; `position` may have been cancelled by who waited for it."""
        error = written.exception()
        if error is None:
            if not position.done():
                where = written.result()
                position.set_result(Position(where.topic, where.partition, where.offset))
            return
        # One batch that the broker refuses (too large for its topic) leaves a gap in the sequence numbers: all that
        # the same idempotent aiokafka producer sends to the partition later fails, for ever.
        self._spoiled = True
        if not position.done():
            failure = broker_error(f"write to {topic}", error)
            failure.__cause__ = error
            position.set_exception(failure)
            if self._aborted:
                position.exception()  # whoever waited for it may be gone


async def start_producer(options: dict[str, Any]) -> AIOKafkaProducer:
    """A connected aiokafka producer; a failed start leaves nothing open.

    Raises:
        BrokerError: no broker answered, or the transactional id was refused.
        ConfigurationError: the broker refused our name, or we its certificate.
    """
    producer = AIOKafkaProducer(**options)
    try:
        await producer.start()
    except KAFKA_FAILURES as error:
        await producer.stop()
        doing = f"be reached at {', '.join(options['bootstrap_servers'])}"
        raise await not_started(options, doing, error) from error
    return producer


async def stop_producer(producer: AIOKafkaProducer) -> None:
    """Flush and close within STOP_SECONDS.

    Raises:
        BrokerError: the broker did not take the rest in time.
    """
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await producer.stop()
    except KAFKA_FAILURES as error:
        await _give_up(producer, error)
        raise broker_error("take the last records of a stopping producer", error) from error


async def _give_up(producer: AIOKafkaProducer, error: BaseException) -> None:
    """End what aiokafka would retry for ever, so that no future stays open and nothing is written after `stop`."""
    # In one step of the loop: nothing more leaves the queue.
    producer._message_accumulator.fail_all(error)
    producer._sender.sender_task.cancel()
    producer._closed = True
    await producer.client.close()
