"""Records that any client may write and aiokafka alone does not read: they reach us, and their neighbours too."""

from __future__ import annotations

import shutil
import subprocess
from typing import Any

import confluent_kafka
import pytest
from aiokafka.record.default_records import DefaultRecordBatch, _DefaultRecordBatchBuilderPy
from aiokafka.record.memory_records import MemoryRecords
from muster.adapters.kafka import KafkaBroker
from muster.adapters.kafka_records import LenientRecords
from muster.contracts.envelope import parse_task
from muster.contracts.topics import TopicSpec
from muster.ports import Record, TopicPartition
from muster.settings import KafkaSettings


class Raw(str):
    """A header name that is written as bytes that are no text."""

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        return b"\xff\xfe"


def batch(*names: str, first: int = 0, codec: int = DefaultRecordBatch.CODEC_NONE) -> bytes:
    builder = _DefaultRecordBatchBuilderPy(2, codec, False, -1, -1, -1, 1 << 20)
    for number, name in enumerate(names):
        builder.append(number, 1000, b"key", f"value {first + number}".encode(), [(name, b"1")])
    builder.set_producer_state(-1, -1, -1)
    built = bytearray(builder.build())
    built[0:8] = first.to_bytes(8, "big")
    return bytes(built)


def read(data: bytes) -> list[Any]:
    records, found = LenientRecords(data), []
    while records.has_next():
        found += list(records.next_batch())
    return found


@pytest.mark.parametrize("codec", [DefaultRecordBatch.CODEC_NONE, DefaultRecordBatch.CODEC_LZ4])
def test_a_header_name_that_is_no_text_is_read_and_nothing_around_it_is_lost(codec: int) -> None:
    data = batch("a", Raw("bad"), "c", codec=codec) + batch("d", first=3, codec=codec) + batch(Raw("bad"), first=4)

    found = read(data)

    assert [(record.offset, bytes(record.value)) for record in found] == [
        (number, f"value {number}".encode()) for number in range(5)
    ]
    assert [list(record.headers) for record in found] == [
        [("a", b"1")], [(r"\xff\xfe", b"1")], [("c", b"1")], [("d", b"1")], [(r"\xff\xfe", b"1")],
    ]  # fmt: skip


def test_aiokafka_alone_still_cannot_read_it() -> None:
    """When this fails, adapters/kafka_records.py can go."""
    with pytest.raises(UnicodeDecodeError):
        list(MemoryRecords(batch(Raw("bad"))).next_batch())


@pytest.mark.kafka
@pytest.mark.parametrize("bad", ["a header without value", "a header name that is no text"])
async def test_a_strange_record_is_read_between_its_neighbours(kafka: str, topic_prefix: str, bad: str) -> None:
    broker, topic = KafkaBroker(KafkaSettings(bootstrap_servers=kafka)), f"{topic_prefix}strange"
    if bad == "a header name that is no text" and shutil.which("kcat") is None:
        pytest.skip("kcat is not installed")
    admin = broker.admin()
    await admin.start()
    await admin.apply([TopicSpec(topic, 1)])
    await admin.stop()
    task = [("ce_id", b"t1"), ("ce_type", b"noop")]
    client = confluent_kafka.Producer({"bootstrap.servers": kafka})

    client.produce(topic, b"before")
    client.flush(20)
    if bad == "a header without value":
        client.produce(topic, b"{}", headers=[*task, ("x", None)])
    else:
        write_with_kcat(kafka, topic)
    client.flush(20)
    client.produce(topic, b"after")
    client.flush(20)

    consumer = broker.consumer()
    consumer.assign([TopicPartition(topic, 0)])
    await consumer.start()
    records: list[Record] = []
    while len(records) < 3:
        records += await consumer.poll(timeout=1)
    await consumer.stop()
    assert [record.value for record in records] == [b"before", b"{}", b"after"]
    [extra] = parse_task(records[1].headers, records[1].value).extra
    assert extra == (("x", b"") if bad == "a header without value" else (r"\xff\xfe", b"1"))


def write_with_kcat(kafka: str, topic: str) -> None:
    headers = [b"-H", b"ce_id=t1", b"-H", b"ce_type=noop", b"-H", b"\xff\xfe=1"]
    subprocess.run(["kcat", "-P", "-b", kafka, "-t", topic, *headers], input=b"{}", check=True, timeout=60)  # noqa: S603, S607
