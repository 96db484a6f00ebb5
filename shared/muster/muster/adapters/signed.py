"""Signs every record that is written, and checks every record that is read, around any Broker.

What a signature covers is contracts/signature.py. A task that is not believed is handed over all the same, marked, so
that it can be refused with its bytes kept: `parse_task` refuses what is marked. A fact that is not believed was never
said: readers pass it as they pass the end mark of a transaction.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, cast

from muster.adapters.kafka import KafkaBroker
from muster.contracts.signature import REFUSAL, Kind, Signatures, Signed
from muster.contracts.topics import Topics
from muster.observability.logging import get_logger
from muster.observability.metrics import UNAUTHENTICATED, UNSIGNED_ACCEPTED
from muster.ports import (
    Admin,
    Bookmark,
    Broker,
    Consumer,
    Headers,
    Position,
    Producer,
    Record,
    TopicPartition,
    TransactionalProducer,
)
from muster.settings import KafkaSettings, SigningSettings

_log = get_logger(__name__)
_ID = re.compile(rb"[\x21-\x7e]{1,200}")


def broker_of(kafka: KafkaSettings, signing: SigningSettings, topic_prefix: str) -> Broker:
    """The cluster as an installation sees it: with signatures when it has keys.

    Raises:
        ConfigurationError: the settings of Kafka contradict each other.
    """
    broker, keys = KafkaBroker(kafka), signing.keys
    if not keys:
        return broker
    return SignedBroker(broker, Signatures(Topics(topic_prefix), keys, accept_unsigned=signing.accept_unsigned))


class SignedBroker:
    """ports.Broker."""

    def __init__(self, broker: Broker, signatures: Signatures) -> None:
        self._broker = broker
        self._signatures = signatures

    def producer(self, *, client_id: str = "muster", linger_ms: int = 2) -> Producer:
        return _SignedProducer(self._broker.producer(client_id=client_id, linger_ms=linger_ms), self._signatures)

    def transactional_producer(self, transactional_id: str) -> TransactionalProducer:
        return _SignedTransactionalProducer(self._broker.transactional_producer(transactional_id), self._signatures)

    def consumer(self, **options: Any) -> Consumer:
        return cast(Consumer, _CheckedConsumer(self._broker.consumer(**options), self._check))

    def admin(self) -> Admin:
        return self._broker.admin()

    def _check(self, record: Record) -> Record | None:
        signed = Signed(record.topic, record.key, record.value, record.headers)
        refusal = self._signatures.refusal(signed)
        if refusal is None:
            if self._signatures.unsigned(signed):
                UNSIGNED_ACCEPTED.labels(record.topic).inc()
            return record
        UNAUTHENTICATED.labels(record.topic).inc()
        if self._signatures.kind(record.topic) is Kind.FACT:
            _log.warning(
                "Nobody vouches for a record", action="signature.refused", topic=record.topic,
                partition=record.partition, offset=record.offset, reason=refusal,
            )  # fmt: skip
            return None
        # First of all headers, so that no other fault of the record is found before it.
        rest = (pair for pair in record.headers if pair[0] != REFUSAL)
        headers = ((REFUSAL, (refusal + _claim(record)).encode()), *rest)
        return record._replace(headers=headers)


def _claim(record: Record) -> str:
    """Which task it says it is: for people who look for it."""
    for name, raw in record.headers:
        if name == "ce_id" and _ID.fullmatch(raw):
            return f"; it says that it is task {raw.decode()}"
    return ""


class _SignedProducer:
    """ports.Producer."""

    def __init__(self, producer: Producer, signatures: Signatures) -> None:
        self._producer = producer
        self._signatures = signatures
        self.start = producer.start
        self.stop = producer.stop
        self.flush = producer.flush
        self.abort = producer.abort

    async def send(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = None,
        headers: Headers = (),
        partition: int | None = None,
    ) -> asyncio.Future[Position]:
        headers = self._signatures.sign(Signed(topic, key, value, headers))
        return await self._producer.send(topic, value, key=key, headers=headers, partition=partition)


class _SignedTransactionalProducer:
    """ports.TransactionalProducer."""

    def __init__(self, producer: TransactionalProducer, signatures: Signatures) -> None:
        self._producer = producer
        self._signatures = signatures
        self.start = producer.start
        self.stop = producer.stop

    async def move(
        self,
        records: Sequence[tuple[str, bytes | None, bytes | None, Headers]],
        offsets: Mapping[TopicPartition, int | Bookmark],
        group: str,
    ) -> None:
        signed = [
            (topic, key, value, self._signatures.sign(Signed(topic, key, value, headers)))
            for topic, key, value, headers in records
        ]
        await self._producer.move(signed, offsets, group)


class _CheckedConsumer:
    """ports.Consumer: all of it is the reader's own, but what `poll` hands over."""

    def __init__(self, consumer: Consumer, check: Callable[[Record], Record | None]) -> None:
        self._consumer = consumer
        self._check = check

    def __getattr__(self, name: str) -> Any:
        return getattr(self._consumer, name)

    async def poll(
        self, *, max_records: int | None = None, timeout: float = 0.1, only: Collection[TopicPartition] | None = None
    ) -> list[Record]:
        records = await self._consumer.poll(max_records=max_records, timeout=timeout, only=only)
        return [checked for record in records if (checked := self._check(record)) is not None]
