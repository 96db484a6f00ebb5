"""Consumer groups of the log in memory: members, generations, eager rebalances, committed offsets. Reads nothing."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Collection, Iterable, Mapping
from typing import Protocol

from muster.adapters.memory_log import Log
from muster.contracts.errors import CommitRefused
from muster.ports import Bookmark, TopicPartition


class Member(Protocol):
    """What a group asks of its members (memory_consumer)."""

    #: Members are dealt partitions in the order of their names.
    name: str

    @property
    def topics(self) -> Collection[str]: ...

    async def revoke(self) -> None:
        """Called when a rebalance begins; accepts nothing after it until `give`."""

    async def give(self, partitions: frozenset[TopicPartition], generation: int) -> None:
        """Called with the whole new assignment."""


class Group:
    """One consumer group. A rebalance is one task: everybody revokes, then everybody is given the new assignment."""

    def __init__(self, name: str, log: Log) -> None:
        self.name = name
        self._log = log
        self._serial = itertools.count(1)
        self._rebalance: asyncio.Task[None] | None = None
        self._stale = False
        self.generation = 0
        self.members: list[Member] = []
        self.committed: dict[TopicPartition, int] = {}
        self.notes: dict[TopicPartition, str] = {}

    def new_name(self, client_id: str) -> str:
        return f"{client_id}-{next(self._serial):06d}"

    def join(self, member: Member) -> None:
        self.members.append(member)
        self._start_rebalance()

    def leave(self, member: Member) -> None:
        """The others get its partitions at once."""
        if member in self.members:
            self.members.remove(member)
            self._start_rebalance()

    def commit(self, member: Member, generation: int, offsets: Mapping[TopicPartition, int]) -> None:
        """Store offsets for a member of the current generation.

        Raises:
            CommitRefused: the group moved on.
        """
        if member not in self.members or generation != self.generation:
            named = ", ".join(f"{topic}/{number}" for topic, number in sorted(offsets))
            raise CommitRefused(f"the group {self.name} moved on, the offsets of {named} were not committed")
        self.store(offsets)

    def store(self, offsets: Mapping[TopicPartition, int | Bookmark]) -> None:
        """Commit without a member's rights, as a transaction does; an offset without a note drops the older note."""
        for partition, offset in offsets.items():
            bookmark = offset if isinstance(offset, Bookmark) else Bookmark(offset)
            self.committed[partition], self.notes[partition] = bookmark

    async def settled(self) -> None:
        """Return when no rebalance is under way."""
        while self._rebalance is not None and not self._rebalance.done():
            await asyncio.shield(self._rebalance)

    def _start_rebalance(self) -> None:
        self._stale = True
        if self._rebalance is None or self._rebalance.done():
            self._rebalance = asyncio.get_running_loop().create_task(self._run(), name=f"rebalance {self.name}")

    async def _run(self) -> None:
        while self._stale:
            revoked: list[Member] = []
            # Who joins while the others revoke takes part in this very generation.
            while fresh := [member for member in self.members if member not in revoked]:
                await asyncio.gather(*(member.revoke() for member in fresh))
                revoked += fresh
            self._stale = False
            self.generation += 1
            dealt = deal(self.members, self._log)
            await asyncio.gather(*(m.give(dealt[m.name], self.generation) for m in list(self.members)))


def deal(members: Iterable[Member], log: Log) -> dict[str, frozenset[TopicPartition]]:
    """Round robin over all partitions in order, as aiokafka deals them."""
    ordered = sorted(members, key=lambda member: member.name)
    dealt: dict[str, set[TopicPartition]] = {member.name: set() for member in ordered}
    turn = itertools.cycle(ordered)
    for partition in sorted(p for topic in {t for m in ordered for t in m.topics} for p in log.partitions(topic)):
        member = next(m for m in turn if partition.topic in m.topics)
        dealt[member.name].add(partition)
    return {name: frozenset(partitions) for name, partitions in dealt.items()}
