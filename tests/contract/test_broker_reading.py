"""The broker contract, part 2: reading without a group. What a group adds is in part 3."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest
from muster.contracts.errors import BrokerError
from muster.ports import TopicPartition

if TYPE_CHECKING:
    from tests.contract.conftest import Scene


def numbered(count: int) -> list[bytes]:
    return [b"%d" % n for n in range(count)]


async def test_max_records_is_respected_and_the_rest_comes_later_in_order(scene: Scene) -> None:
    topic = await scene.topic()
    await scene.write(topic, *numbered(10))
    reader = await scene.reader(topic)

    batches = [await scene.read(reader, 3, max_records=3) for _ in range(3)]

    assert [len(batch) for batch in batches] == [3, 3, 3]
    assert [record.value for batch in batches for record in batch] == numbered(9)


async def test_max_records_counts_over_all_partitions(scene: Scene) -> None:
    topic = await scene.topic(partitions=3)
    producer = await scene.producer()
    for n in range(30):
        await producer.send(topic, b"%d" % n, key=b"k", partition=n % 3)
    await producer.flush()
    reader = await scene.reader(topic, 0, 1, 2)

    sizes: list[int] = []
    while sum(sizes) < 30:
        sizes.append(len(await reader.poll(max_records=4, timeout=1)))

    assert max(sizes) == 4


async def test_an_empty_poll_ends_when_its_time_is_over(scene: Scene) -> None:
    topic = await scene.topic()
    reader = await scene.reader(topic)

    began = time.monotonic()
    records = await reader.poll(timeout=0.3)

    assert records == []
    assert 0.2 < time.monotonic() - began < 20


async def test_a_waiting_poll_is_woken_by_a_new_record(scene: Scene) -> None:
    topic = await scene.topic()
    reader = await scene.reader(topic)
    await reader.poll(timeout=0.1)

    waiting = asyncio.create_task(reader.poll(timeout=120))
    await scene.write(topic, b"news")

    async with asyncio.timeout(60):
        assert [record.value for record in await waiting] == [b"news"]


async def test_a_reader_seeks_to_any_offset_and_to_the_beginning(scene: Scene) -> None:
    topic = await scene.topic()
    await scene.write(topic, *numbered(10))
    reader = await scene.reader(topic)
    here = TopicPartition(topic, 0)

    await reader.seek(here, 7)
    assert [record.offset for record in await scene.read(reader, 3)] == [7, 8, 9]

    await reader.seek_to_beginning([here])
    assert [record.offset for record in await scene.read(reader, 10)] == list(range(10))


async def test_seeking_in_a_foreign_partition_is_refused(scene: Scene) -> None:
    topic = await scene.topic(partitions=2)
    reader = await scene.reader(topic, 0)

    with pytest.raises(BrokerError):
        await reader.seek(TopicPartition(topic, 1), 0)


async def test_first_and_end_offsets_tell_what_there_is_to_read(scene: Scene) -> None:
    topic = await scene.topic(partitions=2)
    producer = await scene.producer()
    for _ in range(5):
        await (await producer.send(topic, b"x", key=b"k", partition=1))
    reader = await scene.reader(topic, 0, 1)
    both = [TopicPartition(topic, 0), TopicPartition(topic, 1)]

    assert await reader.beginning_offsets(both) == dict.fromkeys(both, 0)
    assert await reader.end_offsets(both) == {both[0]: 0, both[1]: 5}


async def test_a_reader_from_the_end_sees_only_what_is_new(scene: Scene) -> None:
    topic = await scene.topic()
    await scene.write(topic, b"old")
    reader = await scene.reader(topic, from_beginning=False)
    assert await reader.poll(timeout=0.5) == []

    await scene.write(topic, b"new")

    assert [record.value for record in await scene.read(reader, 1)] == [b"new"]


async def test_only_the_named_partitions_are_read_and_the_others_wait(scene: Scene) -> None:
    topic = await scene.topic(partitions=2)
    producer = await scene.producer()
    for n in range(6):
        await (await producer.send(topic, b"%d" % n, key=b"k", partition=n % 2))
    reader = await scene.reader(topic, 0, 1)

    odd = await scene.read(reader, 3, only=[TopicPartition(topic, 1)])
    nothing = await reader.poll(timeout=0.1, only=[])
    even = await scene.read(reader, 3)

    assert [record.value for record in odd] == [b"1", b"3", b"5"]
    assert nothing == []
    assert [record.value for record in even] == [b"0", b"2", b"4"]


async def test_a_paused_partition_keeps_its_position(scene: Scene) -> None:
    topic = await scene.topic()
    await scene.write(topic, *numbered(10))
    reader = await scene.reader(topic)
    here = TopicPartition(topic, 0)
    await scene.read(reader, 4, max_records=4)

    reader.pause([here])
    assert await reader.poll(timeout=0.3) == []
    reader.resume([here])

    assert [record.offset for record in await scene.read(reader, 6)] == [4, 5, 6, 7, 8, 9]


async def test_pausing_a_foreign_partition_does_nothing(scene: Scene) -> None:
    topic = await scene.topic(partitions=2)
    reader = await scene.reader(topic, 0)

    reader.pause([TopicPartition(topic, 1)])
    reader.resume([TopicPartition(topic, 1)])

    assert reader.assignment() == {TopicPartition(topic, 0)}


async def test_readers_without_a_group_all_see_everything(scene: Scene) -> None:
    topic = await scene.topic()
    await scene.write(topic, *numbered(5))

    for _ in range(2):
        assert len(await scene.read(await scene.reader(topic), 5)) == 5


async def test_a_new_assignment_replaces_the_old_one(scene: Scene) -> None:
    topic = await scene.topic(partitions=2)
    producer = await scene.producer()
    await (await producer.send(topic, b"one", key=b"k", partition=1))
    reader = await scene.reader(topic, 0)

    reader.assign([TopicPartition(topic, 1)])

    assert [record.value for record in await scene.read(reader, 1)] == [b"one"]


async def test_a_stopped_consumer_refuses_to_poll(scene: Scene) -> None:
    topic = await scene.topic()
    reader = await scene.reader(topic)

    await scene.leave(reader)

    with pytest.raises(BrokerError):
        await reader.poll(timeout=0.1)
