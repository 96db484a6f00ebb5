"""Kafka as a program that knows nothing of Muster uses it: librdkafka, plain records. Their meaning is the stories'."""

from __future__ import annotations

from typing import Any

import confluent_kafka

_SECONDS = 20.0


class ForeignClient:
    """Writes and reads single records."""

    def __init__(self, bootstrap: str, compression: str = "none") -> None:
        self._connection = {"bootstrap.servers": bootstrap, "log.connection.close": False}
        self._producer = confluent_kafka.Producer(
            {**self._connection, "message.max.bytes": 32_000_000, "compression.type": compression}
        )

    def write(self, topic: str, value: bytes, headers: dict[str, str], key: bytes | None = None) -> tuple[int, int]:
        """Write one record; returns its partition and offset."""
        written: list[tuple[Any, Any]] = []

        def delivered(error: Any, record: Any) -> None:
            written.append((error, record))

        self._producer.produce(topic, value, key, headers=list(headers.items()), on_delivery=delivered)
        self._producer.flush(_SECONDS)
        [(error, record)] = written
        assert error is None, error
        return record.partition(), record.offset()

    def read(self, topic: str, partition: int, offset: int) -> bytes:
        """The value of one record."""
        consumer = confluent_kafka.Consumer({**self._connection, "group.id": "a-reader"})
        consumer.assign([confluent_kafka.TopicPartition(topic, partition, offset)])
        try:
            record = consumer.poll(_SECONDS)
            assert record is not None, f"nothing at {topic}/{partition}@{offset}"
            assert record.error() is None, record.error()
            return bytes(record.value() or b"")
        finally:
            consumer.close()
