"""Reads the log in memory, as a member of a group or alone. Who gets which partition is memory_group."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from functools import partial
from typing import Any

from muster.adapters.memory_group import Group
from muster.adapters.memory_log import Log
from muster.contracts.errors import BrokerError, CommitRefused
from muster.observability.logging import get_logger
from muster.ports import Clock, RebalanceListener, Record, TopicPartition

#: Stands for "no limit".
_MANY = 10**9
#: Runs an operation (its name, its topic, what to do), or a planned fault in its place.
Attempt = Callable[[str, str, Callable[[], Any]], Any]

log = get_logger(__name__)


class MemoryConsumer:
    """A reader (ports.Consumer); the same promises as KafkaConsumer's, without a network."""

    def __init__(
        self,
        log: Log,
        clock: Clock,
        group: Group | None,
        name: str,
        from_beginning: bool,
        attempt: Attempt,
        committed_only: bool = True,
    ) -> None:
        self.name = name
        self.group = group
        self._log, self._clock, self._from_beginning, self._attempt = log, clock, from_beginning, attempt
        self._committed_only = committed_only
        self._subscribed: tuple[str, ...] = ()
        self._listener: RebalanceListener | None = None
        self._positions: dict[TopicPartition, int] = {}
        self._paused: set[TopicPartition] = set()
        self._order: list[TopicPartition] = []
        self._generation = 0
        self._moving = False
        self.running = False
        self._waiting: set[asyncio.Future[None]] = set()

    # Joining and leaving

    @property
    def topics(self) -> Collection[str]:
        return self._subscribed

    def subscribe(self, topics: Collection[str], listener: RebalanceListener | None = None) -> None:
        if self.group is None:
            raise ValueError("a consumer without a group cannot subscribe: assign partitions, or name a group")
        self._subscribed, self._listener = tuple(topics), listener

    def assign(self, partitions: Collection[TopicPartition]) -> None:
        self._take_over(frozenset(partitions))

    async def start(self) -> None:
        for topic in {*self._subscribed, *(partition.topic for partition in self._positions)}:
            self._log.partitions(topic)
        self.running = True
        self._log.watchers.add(self._wake)
        if self.group is not None and self._subscribed:
            self._moving = True
            self.group.join(self)
            await self.group.settled()

    async def stop(self) -> None:
        self.running = False
        self._log.watchers.discard(self._wake)
        self._wake()
        if self.group is not None:
            self.group.leave(self)
        self._positions = {}

    async def revoke(self) -> None:
        self._moving = True
        if self._listener is not None:
            await self._tell(self._listener.on_revoked(sorted(self._positions)))

    async def give(self, partitions: frozenset[TopicPartition], generation: int) -> None:
        if not self.running:
            return
        self._generation = generation
        self._take_over(partitions)
        if self._listener is not None:
            await self._tell(self._listener.on_assigned(sorted(partitions)))
        self._moving = False
        self._wake()

    async def _tell(self, callback: Awaitable[None]) -> None:
        try:
            await callback
        except Exception:  # as with aiokafka: the rebalance goes on
            log.exception("A rebalance listener failed", action="group.listener_failed", member=self.name)

    def _take_over(self, partitions: frozenset[TopicPartition]) -> None:
        committed = self.group.committed if self.group is not None else {}
        self._order = sorted(partitions)
        self._paused &= partitions
        if self.group is not None and self._subscribed:
            self._paused = set()  # Kafka forgets pauses in a rebalance
        self._positions = {p: committed.get(p, self._reset(p)) for p in self._order}

    def _reset(self, partition: TopicPartition) -> int:
        return 0 if self._from_beginning or partition.topic not in self._log.topics else self._log.end(partition)

    def assignment(self) -> frozenset[TopicPartition]:
        return frozenset(self._positions)

    # Reading

    async def poll(
        self, *, max_records: int | None = None, timeout: float = 0.1, only: Collection[TopicPartition] | None = None
    ) -> list[Record]:
        self._check_running()
        deadline = self._clock.monotonic() + timeout
        await asyncio.sleep(0)  # a loop of polls must not starve the others
        while self.running:
            records = [] if self._moving else self._take(max_records or _MANY, only)
            remaining = deadline - self._clock.monotonic()
            if records or remaining <= 0:
                return records
            await self._wait(remaining)
        return []

    def _take(self, room: int, only: Collection[TopicPartition] | None) -> list[Record]:
        taken: list[Record] = []
        for partition in tuple(self._order):
            if partition in self._paused or (only is not None and partition not in only):
                continue
            records, self._positions[partition] = self._log.read(
                partition, self._positions[partition], room - len(taken), committed_only=self._committed_only
            )
            if records:
                # Who was served goes to the end of the queue.
                self._order.remove(partition)
                self._order.append(partition)
                taken += records
            if len(taken) >= room:
                break
        return taken

    async def _wait(self, seconds: float) -> None:
        news: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        timer = asyncio.ensure_future(self._clock.sleep(seconds))
        self._waiting.add(news)
        try:
            await asyncio.wait({news, timer}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._waiting.discard(news)
            timer.cancel()

    def _wake(self) -> None:
        for news in self._waiting:
            if not news.done():
                news.set_result(None)

    async def seek(self, partition: TopicPartition, offset: int) -> None:
        self._check_owned([partition])
        self._positions[partition] = offset
        self._wake()

    async def position(self, partition: TopicPartition) -> int:
        self._check_owned([partition])
        return self._positions[partition]

    def backlog(self) -> int:
        return sum(max(0, self._log.end(partition) - here) for partition, here in self._positions.items())

    async def seek_to_beginning(self, partitions: Collection[TopicPartition]) -> None:
        self._check_owned(partitions)
        self._positions.update(dict.fromkeys(partitions, 0))
        self._wake()

    def pause(self, partitions: Collection[TopicPartition]) -> None:
        self._paused |= set(partitions) & set(self._positions)

    def resume(self, partitions: Collection[TopicPartition]) -> None:
        self._paused -= set(partitions)
        self._wake()

    # Offsets

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        self._check_running()
        await asyncio.sleep(0)  # an answer takes a moment, and the group may move on meanwhile
        if not offsets:
            return
        if self.group is None:
            raise BrokerError("a consumer without a group has no offsets to commit")
        foreign = sorted(set(offsets) - set(self._positions))
        if foreign:
            named = ", ".join(f"{topic}/{number}" for topic, number in foreign)
            raise CommitRefused(f"{named} belong to another member of {self.group.name} now: nothing was committed")
        commit = partial(self.group.commit, self, self._generation, offsets)
        self._attempt("commit", min(offsets).topic, commit)

    async def committed(self, partition: TopicPartition) -> int | None:
        self._check_running()
        return self.group.committed.get(partition) if self.group is not None else None

    async def beginning_offsets(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, 0)

    async def end_offsets(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        """Ends as this reader sees them: read_committed counts neither an open transaction nor what follows it."""
        return {p: self._log.end(p, committed_only=self._committed_only) for p in partitions}

    def _check_running(self) -> None:
        if not self.running:
            raise BrokerError("the consumer is not running: start it first, and do not use it after stop")

    def _check_owned(self, partitions: Collection[TopicPartition]) -> None:
        self._check_running()
        foreign = sorted(set(partitions) - set(self._positions))
        if foreign:
            named = ", ".join(f"{topic}/{number}" for topic, number in foreign)
            raise BrokerError(f"there is no position in {named}: not assigned to this consumer")
