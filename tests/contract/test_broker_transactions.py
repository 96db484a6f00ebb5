"""The broker contract, part 4: a move of records and offsets happens wholly or not at all; topics are as declared."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import pytest
from muster.contracts.errors import BrokerError
from muster.contracts.topics import TopicSpec
from muster.ports import Bookmark, TopicPartition, TransactionalProducer

if TYPE_CHECKING:
    from tests.contract.conftest import Scene


async def mover(scene: Scene, name: str = "mover") -> TransactionalProducer:
    opened: TransactionalProducer = await scene.opened(scene.broker.transactional_producer(scene.prefix + name))
    return opened


async def test_a_move_writes_all_records_and_commits_the_offsets_they_came_from(scene: Scene) -> None:
    source, target = await scene.topic("delay"), await scene.topic("lane", partitions=2)
    moving = await mover(scene)

    records = [(target, b"k%d" % n, b"v%d" % n, (("h", b"%d" % n),)) for n in range(20)]
    await moving.move(records, {TopicPartition(source, 0): 20}, scene.group)

    read = await scene.read(await scene.reader(target, 0, 1), 20)
    assert {(r.key, r.value, r.headers) for r in read} == {(k, v, h) for _, k, v, h in records}
    admin = await scene.opened(scene.broker.admin())
    assert await admin.committed(scene.group) == {TopicPartition(source, 0): 20}


async def test_a_note_travels_with_an_offset_until_the_next_commit_without_one(scene: Scene) -> None:
    source = TopicPartition(await scene.topic("delay"), 0)
    moving = await mover(scene)
    admin = await scene.opened(scene.broker.admin())

    async def told(bookmark: Bookmark) -> None:
        # A transaction is decided when `move` returns; its end marks are written right after that.
        async with asyncio.timeout(60):
            while await admin.bookmarks(scene.group) != {source: bookmark}:  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    await moving.move([], {source: Bookmark(3, "moved ahead: 5, 7")}, scene.group)
    await told(Bookmark(3, "moved ahead: 5, 7"))
    await moving.move([], {source: 8}, scene.group)

    await told(Bookmark(8))


async def test_a_position_passes_the_marker_that_ends_a_transaction(scene: Scene) -> None:
    target = await scene.topic()
    moving = await mover(scene)
    reader = await scene.reader(target)
    here = TopicPartition(target, 0)
    await moving.move([(target, b"k", b"x", ())], {}, scene.group)
    end = (await reader.end_offsets([here]))[here]

    [record] = await scene.read(reader, 1)
    await reader.poll(timeout=1)

    assert record.offset + 1 < end
    assert await reader.position(here) == end


async def test_moves_follow_each_other_and_either_part_may_be_empty(scene: Scene) -> None:
    source, target = await scene.topic("delay"), await scene.topic()
    moving = await mover(scene)

    await moving.move([(target, b"k", b"1", ())], {}, scene.group)
    await moving.move([], {TopicPartition(source, 0): 1}, scene.group)
    await moving.move([], {}, scene.group)
    await moving.move([(target, b"k", b"2", ())], {TopicPartition(source, 0): 2}, scene.group)

    assert [r.value for r in await scene.read(await scene.reader(target), 2)] == [b"1", b"2"]
    admin = await scene.opened(scene.broker.admin())
    assert await admin.committed(scene.group) == {TopicPartition(source, 0): 2}


async def test_a_move_that_fails_leaves_nothing_behind(scene: Scene) -> None:
    source, target = await scene.topic("delay"), await scene.topic(max_bytes=100_000)
    moving = await mover(scene)
    too_large = os.urandom(300_000)

    with pytest.raises(BrokerError):
        await moving.move(
            [(target, b"k", b"small", ()), (target, b"k", too_large, ())], {TopicPartition(source, 0): 1}, scene.group
        )

    await moving.stop()
    await scene.write(target, b"after")
    assert [r.value for r in await scene.read(await scene.reader(target), 1)] == [b"after"]
    admin = await scene.opened(scene.broker.admin())
    assert await admin.committed(scene.group) == {}


async def test_a_cancelled_move_leaves_nothing_behind(scene: Scene) -> None:
    target = await scene.topic()
    moving = await mover(scene)

    move = asyncio.create_task(moving.move([(target, b"k", b"%d" % n, ()) for n in range(50)], {}, scene.group))
    for _ in range(5):
        await asyncio.sleep(0)
    move.cancel()
    with pytest.raises(asyncio.CancelledError):
        await move

    await scene.write(target, b"after")
    assert [r.value for r in await scene.read(await scene.reader(target), 1)] == [b"after"]


async def test_a_newer_mover_fences_the_older_one(scene: Scene) -> None:
    target = await scene.topic()
    zombie = scene.broker.transactional_producer(scene.prefix + "mover")
    await zombie.start()
    await zombie.move([(target, b"k", b"before", ())], {}, scene.group)

    heir = await mover(scene)
    with pytest.raises(BrokerError, match="fenced"):
        await zombie.move([(target, b"k", b"zombie", ())], {}, scene.group)
    await heir.move([(target, b"k", b"heir", ())], {}, scene.group)

    await zombie.stop()
    assert [r.value for r in await scene.read(await scene.reader(target), 2)] == [b"before", b"heir"]


async def test_movers_with_different_ids_do_not_disturb_each_other(scene: Scene) -> None:
    target = await scene.topic(partitions=2)
    movers = [await mover(scene, name) for name in ("one", "two")]

    for _ in range(3):
        records = [(target, b"k", b"x", ()), (target, b"l", b"x", ())]
        await asyncio.gather(*(moving.move(records, {}, scene.group) for moving in movers))

    assert len(await scene.read(await scene.reader(target, 0, 1), 12)) == 12


async def test_a_mover_that_is_not_running_refuses(scene: Scene) -> None:
    target = await scene.topic()
    moving = scene.broker.transactional_producer(scene.prefix + "mover")

    with pytest.raises(BrokerError):
        await moving.move([(target, b"k", b"x", ())], {}, scene.group)


async def test_topics_are_created_as_declared_and_left_alone_the_second_time(scene: Scene) -> None:
    admin = await scene.opened(scene.broker.admin())
    specs = [TopicSpec(scene.prefix + "a", 3, {"cleanup.policy": "compact"}), TopicSpec(scene.prefix + "b", 1)]

    planned = await admin.apply(specs, dry_run=True)
    assert [change.action for change in planned] == ["create", "create"]
    assert await admin.partitions([spec.name for spec in specs]) == {}

    assert [change.action for change in await admin.apply(specs)] == ["create", "create"]
    assert [change.action for change in await admin.apply(specs)] == ["keep", "keep"]
    assert await admin.partitions([scene.prefix + "a", scene.prefix + "b", scene.prefix + "none"]) == {
        scene.prefix + "a": 3,
        scene.prefix + "b": 1,
    }


async def test_a_topic_grows_and_its_settings_are_corrected_but_it_never_shrinks(scene: Scene) -> None:
    admin = await scene.opened(scene.broker.admin())
    name = scene.prefix + "a"
    await admin.apply([TopicSpec(name, 2, {"retention.ms": "1000000", "segment.ms": "900000"})])

    [grown] = await admin.apply([TopicSpec(name, 4, {"retention.ms": "2000000"})])
    [kept] = await admin.apply([TopicSpec(name, 1, {"retention.ms": "2000000", "segment.ms": "900000"})])

    assert (grown.action, grown.detail) == ("alter", "partitions 2 -> 4, retention.ms 1000000 -> 2000000")
    assert kept.action == "keep"
    assert await admin.partitions([name]) == {name: 4}
