"""What a worker believes of the others, from their heartbeats alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from muster.adapters.clock import FakeClock
from muster.adapters.memory import MemoryBroker
from muster.contracts.events import Heartbeat, encode_json
from muster.contracts.topics import Topics
from muster.ports import Producer, TopicPartition
from muster.settings import Settings
from muster.worker.peers import TRAVEL_SECONDS, Peers
from muster.worker.sharing import Load, Peer

TOPICS = Topics("")
BEAT = 2.0


class Village:
    """One listener, and everything others say."""

    def __init__(self, clock: FakeClock, peers: Peers, producer: Producer) -> None:
        self.clock, self.peers = clock, peers
        self._producer = producer

    async def say(self, worker: str, *, service: str = "media", **said: Any) -> None:
        beat = Heartbeat(
            worker=worker, service=service, at=datetime(2026, 11, 23, tzinfo=UTC), host="h", version="0", slots=4,
            **{"running": 0, **said},
        )  # fmt: skip
        await self.put(encode_json(beat))

    async def put(self, value: bytes) -> None:
        await (await self._producer.send(TOPICS.workers, value))
        await self.clock.advance(0.01)

    def idle(self) -> dict[str, int]:
        return {peer.worker: peer.load.idle for peer in self.peers.present()}


@pytest.fixture
async def village() -> AsyncIterator[Village]:
    clock = FakeClock()
    broker = MemoryBroker(clock)
    await broker.admin().apply(TOPICS.specs())
    peers = Peers(broker, TOPICS, Settings(beat_seconds=BEAT), "media", "me", clock)
    following = asyncio.create_task(peers.follow(lambda: None))
    await clock.advance(0.01)
    producer = broker.producer()
    await producer.start()
    yield Village(clock, peers, producer)
    await producer.stop()
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    await peers.stop()


async def test_only_others_of_the_same_service_are_peers(village: Village) -> None:
    await village.say("media@b", running=1, waiting=1, partitions=(("tasks.media.default", 2),))
    await village.say("me")
    await village.say("reports@c", service="reports")
    await village.put(b"no heartbeat")

    assert village.peers.present() == [
        Peer("media@b", Load(2, 0, frozenset({TopicPartition("tasks.media.default", 2)})))
    ]


async def test_who_leaves_or_falls_silent_is_dropped(village: Village) -> None:
    await village.say("leaver")
    await village.say("quiet")
    await village.say("leaver", leaving=True)
    await village.clock.advance(1.5 * BEAT)
    await village.say("talker")
    await village.clock.advance(1.5 * BEAT)

    assert village.idle() == {"talker": 4}


async def test_a_task_under_way_fills_a_slot_until_its_new_worker_names_it(village: Village) -> None:
    await village.say("b")
    village.peers.expect("b", "t1")
    village.peers.expect("b", "t2")
    assert village.idle() == {"b": 2}

    # It names one of them: that one is in the number of running tasks now.
    await village.say("b", running=1, tasks=("t1",))
    assert village.idle() == {"b": 2}


async def test_a_task_that_ended_before_any_heartbeat_fills_no_slot_for_long(village: Village) -> None:
    await village.say("b")
    village.peers.expect("b", "t1")
    await village.clock.advance(TRAVEL_SECONDS)

    assert village.idle() == {"b": 4}
