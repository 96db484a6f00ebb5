"""The broker contract, part 1: what is written is what is read. Groups and transactions are in the other parts."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import pytest
from muster.adapters.partitioning import partition_of
from muster.contracts.errors import BrokerError
from muster.ports import Position, TopicPartition

if TYPE_CHECKING:
    from tests.contract.conftest import Scene


async def test_records_of_one_key_keep_their_order_in_the_partition_kafka_gives_the_key(scene: Scene) -> None:
    topic = await scene.topic(partitions=4)
    values = [b"%d" % n for n in range(200)]

    written = await scene.write(topic, *values, key="añejo-日本".encode())

    home = partition_of("añejo-日本".encode(), 4)
    records = await scene.read(await scene.reader(topic, home), 200)
    assert [record.value for record in records] == values
    assert written == [Position(topic, home, n) for n in range(200)]
    assert {record.key for record in records} == {"añejo-日本".encode()}


async def test_headers_come_back_as_they_were_written(scene: Scene) -> None:
    topic = await scene.topic()
    headers = [("ce_id", b"1"), ("ce_id", b"twice"), ("empty", b""), ("x-ñ", "é日".encode())]

    await scene.write(topic, b"value", headers=tuple(headers))

    [record] = await scene.read(await scene.reader(topic), 1)
    assert record.headers == tuple(headers)
    assert record.source == TopicPartition(topic, 0)


async def test_a_tombstone_has_no_value_and_a_record_needs_no_key(scene: Scene) -> None:
    topic = await scene.topic()

    await scene.write(topic, None, key=b"gone")
    await scene.write(topic, b"keyless", key=None)

    records = await scene.read(await scene.reader(topic), 2)
    assert [(record.key, record.value) for record in records] == [(b"gone", None), (None, b"keyless")]


async def test_a_record_without_key_and_value_is_refused(scene: Scene) -> None:
    topic = await scene.topic()

    with pytest.raises(BrokerError):
        await scene.write(topic, None, key=None)


async def test_a_named_partition_is_used_and_an_unknown_one_refused(scene: Scene) -> None:
    topic = await scene.topic(partitions=3)
    producer = await scene.producer()

    position = await (await producer.send(topic, b"here", key=b"k", partition=2))
    assert position == Position(topic, 2, 0)

    async def astray() -> None:
        await (await producer.send(topic, b"there", key=b"k", partition=7))

    with pytest.raises(BrokerError):
        await astray()


async def test_after_an_abort_every_answer_has_come_and_nothing_more_is_taken(scene: Scene) -> None:
    topic = await scene.topic()
    producer = scene.broker.producer(linger_ms=0)
    await producer.start()
    written = await (await producer.send(topic, b"written", key=b"k"))
    answers = [await producer.send(topic, b"queued", key=b"k") for _ in range(20)]

    await producer.abort()

    async with asyncio.timeout(10):
        await asyncio.wait(answers)
    assert written.offset == 0
    with pytest.raises(BrokerError):
        await producer.send(topic, b"after", key=b"k")
    await producer.stop()


@pytest.mark.parametrize("scene", [pytest.param("kafka", marks=pytest.mark.kafka)], indirect=True)
async def test_an_abort_drops_what_is_queued(scene: Scene) -> None:
    topic = await scene.topic()
    # Given: a producer that waits a minute for more before it sends.
    producer = scene.broker.producer(linger_ms=60_000)
    await producer.start()
    queued = [await producer.send(topic, b"queued", key=b"k") for _ in range(200)]

    await producer.abort()

    for answer in queued:
        with pytest.raises(BrokerError, match="dropped what was queued"):
            await answer
    await scene.write(topic, b"later")
    records = await scene.read(await scene.reader(topic), 1)
    assert [(record.value, record.offset) for record in records] == [(b"later", 0)]


async def test_flush_returns_when_everything_is_acknowledged(scene: Scene) -> None:
    topic = await scene.topic(partitions=3)
    producer = await scene.producer()

    futures = [await producer.send(topic, b"x" * 100, key=b"%d" % n) for n in range(500)]
    await producer.flush()
    await asyncio.sleep(0)  # the callbacks of the answers

    assert all(future.done() for future in futures)
    assert len({future.result() for future in futures}) == 500


async def test_a_file_of_20_mb_as_base64_passes(scene: Scene) -> None:
    topic = await scene.topic()
    picture = os.urandom(28_000_000)  # nothing a compression could shrink

    await scene.write(topic, b"before", picture, b"after")

    records = await scene.read(await scene.reader(topic), 3)
    assert [len(record.value or b"") for record in records] == [6, 28_000_000, 5]
    assert records[1].value == picture


async def test_several_large_records_at_once_pass_though_the_broker_limits_requests(scene: Scene) -> None:
    topic = await scene.topic(partitions=6)
    producer = await scene.producer()

    async def write(number: int) -> Position:
        return await (await producer.send(topic, os.urandom(25_000_000), key=b"k", partition=number))

    positions = await asyncio.gather(*(write(n) for n in range(6)))

    assert sorted(positions) == [Position(topic, n, 0) for n in range(6)]


async def test_a_record_too_large_for_its_topic_is_refused_and_the_producer_works_on(scene: Scene) -> None:
    topic = await scene.topic(max_bytes=100_000)
    producer = await scene.producer()

    refused = await producer.send(topic, os.urandom(300_000), key=b"k")
    with pytest.raises(BrokerError):
        await refused

    for n in range(3):
        assert (await (await producer.send(topic, b"small", key=b"k"))).offset == n


async def test_a_stopped_producer_writes_what_is_queued_and_then_refuses(scene: Scene) -> None:
    topic = await scene.topic()
    producer = scene.broker.producer(linger_ms=50)
    await producer.start()

    future = await producer.send(topic, b"last", key=b"k")
    await producer.stop()

    assert (await future).offset == 0
    with pytest.raises(BrokerError):
        await producer.send(topic, b"too late", key=b"k")


async def test_a_cancelled_wait_for_an_acknowledgement_harms_nobody(scene: Scene) -> None:
    topic = await scene.topic()
    producer = await scene.producer()

    future = await producer.send(topic, b"first", key=b"k")
    future.cancel()
    second = await (await producer.send(topic, b"second", key=b"k"))

    assert second.offset == 1
