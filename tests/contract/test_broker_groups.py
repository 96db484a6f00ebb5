"""The broker contract, part 3: members of a group share partitions, and a commit counts only from their owner."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from muster.contracts.errors import CommitRefused
from muster.ports import Consumer, TopicPartition

if TYPE_CHECKING:
    from tests.contract.conftest import Scene


def numbered(count: int) -> list[bytes]:
    return [b"%d" % n for n in range(count)]


async def test_a_second_member_goes_on_where_the_first_committed(scene: Scene) -> None:
    topic = await scene.topic()
    await scene.write(topic, *numbered(10))
    first = await scene.member(topic)
    await scene.read(first, 10)

    await first.commit({TopicPartition(topic, 0): 6})
    await scene.leave(first)
    second = await scene.member(topic)

    assert await second.committed(TopicPartition(topic, 0)) == 6
    assert [record.value for record in await scene.read(second, 4)] == numbered(10)[6:]


async def test_records_polled_but_not_committed_come_back(scene: Scene) -> None:
    topic = await scene.topic()
    await scene.write(topic, *numbered(5))
    first = await scene.member(topic)
    await scene.read(first, 5)

    await scene.leave(first)
    second = await scene.member(topic)

    assert await second.committed(TopicPartition(topic, 0)) is None
    assert len(await scene.read(second, 5)) == 5


async def test_two_members_share_the_partitions_and_each_record_comes_once(scene: Scene) -> None:
    topic = await scene.topic(partitions=6)
    members = [await scene.member(topic), await scene.member(topic)]
    await scene.shared_out(members, 6)

    producer = await scene.producer()
    for n in range(60):
        await producer.send(topic, b"%d" % n, key=b"%d" % n, partition=n % 6)
    await producer.flush()
    halves = await asyncio.gather(*(scene.read(member, 30) for member in members))

    assert sorted(len(member.assignment()) for member in members) == [3, 3]
    assert sorted(int(record.value or b"") for half in halves for record in half) == list(range(60))


async def test_partitions_are_revoked_before_they_are_assigned_anew(scene: Scene) -> None:
    topic = await scene.topic(partitions=4)
    story = scene.story()
    first = await scene.member(topic, story)
    everything = first.assignment()

    second = await scene.member(topic)
    await scene.shared_out([first, second], 4)
    # The assignment is seen before its listener has been told of it.
    async with asyncio.timeout(60):
        while story.said[-1][0] != "assigned":
            await first.poll(timeout=0.05, only=())

    what = [(name, partitions) for name, partitions in story.said if partitions]
    assert what[0] == ("assigned", everything)
    assert what[1] == ("revoked", everything)
    assert what[-1] == ("assigned", first.assignment())
    assert len(first.assignment()) == 2


async def test_nothing_is_polled_between_the_revocation_and_the_end_of_the_assignment(scene: Scene) -> None:
    topic = await scene.topic(partitions=2)
    await scene.write(topic, *numbered(50))
    story = scene.story()
    polled: list[int] = []
    told = asyncio.Event()

    async def poll_meanwhile(what: str) -> None:
        for _turn in range(3):
            polled.append(len(await first.poll(timeout=0.1)))
        if what == "assigned":
            told.set()

    first = scene.broker.consumer(group=scene.group)
    first.subscribe([topic], story)
    await scene.opened(first)
    await scene.read(first, 10, max_records=10)

    story.during = poll_meanwhile
    second = await scene.member(topic)
    await scene.shared_out([first, second], 2)
    async with asyncio.timeout(60):
        await told.wait()

    assert polled == [0] * 6


async def test_no_record_is_skipped_by_a_member_that_polls_all_through_a_rebalance(scene: Scene) -> None:
    topic = await scene.topic(partitions=2)
    await scene.write(topic, *numbered(20))
    story = scene.story()
    seen: set[int] = set()

    async def slowly(_: str) -> None:
        await asyncio.sleep(0.3)

    story.during = slowly
    first = await scene.member(topic, story)
    stop, complete = asyncio.Event(), asyncio.Event()

    async def poll_on(member: Consumer) -> None:
        while not stop.is_set():
            seen.update(record.offset for record in await member.poll(max_records=1, timeout=0.05))
            if len(seen) == 20:
                complete.set()

    polling = [asyncio.create_task(poll_on(first))]
    second = await scene.member(topic)
    polling.append(asyncio.create_task(poll_on(second)))
    async with asyncio.timeout(60):
        await complete.wait()
    stop.set()
    await asyncio.gather(*polling)

    assert seen == set(range(20))


async def test_a_commit_of_a_partition_that_moved_on_is_refused(scene: Scene) -> None:
    topic = await scene.topic(partitions=2)
    producer = await scene.producer()
    for number in (0, 1):
        await (await producer.send(topic, b"x", key=b"k", partition=number))
    first = await scene.member(topic)
    await scene.read(first, 2)
    owned = first.assignment()

    second = await scene.member(topic)
    await scene.shared_out([first, second], 2)
    [lost] = owned - first.assignment()

    with pytest.raises(CommitRefused):
        await first.commit({lost: 1})
    assert await second.committed(lost) is None
    await first.commit(dict.fromkeys(first.assignment(), 1))


async def test_a_commit_inside_the_revocation_still_counts(scene: Scene) -> None:
    topic = await scene.topic(partitions=2)
    story = scene.story()
    first = await scene.member(topic, story)
    owned = first.assignment()

    async def commit_last(what: str) -> None:
        if what == "revoked":
            await first.commit(dict.fromkeys(owned, 0) | {TopicPartition(topic, 1): 1})

    await scene.write(topic, b"x", key=b"k")
    story.during = commit_last
    second = await scene.member(topic)
    await scene.shared_out([first, second], 2)

    assert await second.committed(TopicPartition(topic, 1)) == 1


async def test_leaving_hands_the_partitions_over_long_before_the_session_times_out(scene: Scene) -> None:
    topic = await scene.topic(partitions=4)
    first, second = await scene.member(topic, session=120), await scene.member(topic, session=120)
    await scene.shared_out([first, second], 4)

    await scene.leave(first)

    await scene.shared_out([second], 4, seconds=60)


async def test_a_poll_ends_in_time_also_while_the_group_rebalances(scene: Scene) -> None:
    topic = await scene.topic()
    story = scene.story()
    first = await scene.member(topic, story)
    inside, go_on = asyncio.Event(), asyncio.Event()

    async def hold(_: str) -> None:
        inside.set()
        await go_on.wait()

    story.during = hold
    joining = asyncio.create_task(scene.member(topic))
    async with asyncio.timeout(60):
        while not inside.is_set():
            await first.poll(timeout=0.1)
        # The listener does not end before these have: a poll that waited for it would never end.
        for _turn in range(3):
            assert await first.poll(timeout=0.1) == []
        go_on.set()
        await joining


async def test_a_failing_listener_does_not_stop_the_group(scene: Scene) -> None:
    topic = await scene.topic(partitions=2)
    story = scene.story()
    first = await scene.member(topic, story)

    async def fail(_: str) -> None:
        raise RuntimeError("a listener of ours has a fault")

    story.during = fail
    second = await scene.member(topic)

    await scene.shared_out([first, second], 2)


async def test_committed_offsets_are_seen_by_the_administration(scene: Scene) -> None:
    topic = await scene.topic(partitions=2)
    await scene.write(topic, b"x")
    member = await scene.member(topic)
    await member.commit({TopicPartition(topic, 0): 1})

    admin = await scene.opened(scene.broker.admin())

    assert await admin.committed(scene.group) == {TopicPartition(topic, 0): 1}
    assert await admin.committed(scene.prefix + "nobody") == {}
