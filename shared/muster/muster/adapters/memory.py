"""A whole broker in memory (ports.Broker), for unit tests, stories and simulations: same promises, no network.

The parts are memory_log, memory_group, memory_consumer and memory_producer; here are their makers and the faults.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any, Literal

from muster.adapters.clock import SystemClock
from muster.adapters.memory_consumer import MemoryConsumer
from muster.adapters.memory_group import Group
from muster.adapters.memory_log import Log
from muster.adapters.memory_producer import MemoryProducer, MemoryTransactionalProducer
from muster.adapters.topic_change import topic_change
from muster.contracts.topics import TopicSpec
from muster.ports import Bookmark, Clock, TopicChange, TopicPartition

Operation = Literal["produce", "commit", "move"]


@dataclass(frozen=True)
class _Fault:
    operation: str
    error: Exception
    topic: str | None
    written: bool


class MemoryBroker:
    """Clients of one log in memory. Deterministic: with a FakeClock, the same calls give the same log."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock or SystemClock()
        self.log = Log(self.clock)
        self._groups: dict[str, Group] = {}
        self._epochs: dict[str, int] = {}
        self._faults: list[_Fault] = []
        self._readers = itertools.count(1)
        self._rejoining: set[asyncio.Task[None]] = set()

    # ports.Broker

    def producer(self, *, client_id: str = "muster", linger_ms: int = 2) -> MemoryProducer:
        return MemoryProducer(self.log, self._attempt)

    def transactional_producer(self, transactional_id: str) -> MemoryTransactionalProducer:
        return MemoryTransactionalProducer(transactional_id, self.log, self._group, self._epochs, self._attempt)

    def consumer(
        self,
        *,
        group: str | None = None,
        client_id: str = "muster",
        group_instance_id: str | None = None,
        from_beginning: bool = True,
        session_timeout: float = 10.0,
        committed_only: bool = True,
    ) -> MemoryConsumer:
        """A `group_instance_id` and a `session_timeout` have no effect: membership here ends with `stop`."""
        joined = self._group(group) if group is not None else None
        name = joined.new_name(client_id) if joined else f"{client_id}-{next(self._readers):06d}"
        return MemoryConsumer(self.log, self.clock, joined, name, from_beginning, self._attempt, committed_only)

    def admin(self) -> MemoryAdmin:
        return MemoryAdmin(self.log, self._group)

    # Faults

    def fail_next(
        self, operation: Operation, error: Exception, *, topic: str | None = None, written: bool = False
    ) -> None:
        """Let the next such operation fail (for `topic` alone where named); `written`: it happens, its answer is lost.

        "produce" fails the future of `send`, "commit" a consumer's commit, "move" a transaction at its end.
        """
        self._faults.append(_Fault(operation, error, topic, written))

    def expel(self, member: MemoryConsumer, *, rejoin_after: float | None = 0.0) -> None:
        """Do what Kafka does to a member that was silent too long: its partitions go to the others at once.

        The member does not know: it reads on and its commits are refused. After `rejoin_after` seconds of the clock
        it learns of it (its partitions are revoked) and joins again; None: it never does, like a frozen process.
        """
        group = member.group
        if group is None:
            raise ValueError(f"{member.name} is in no group")
        group.leave(member)
        if rejoin_after is not None:
            task = asyncio.get_running_loop().create_task(self._rejoin(group, member, rejoin_after))
            self._rejoining.add(task)
            task.add_done_callback(self._rejoining.discard)

    async def readmit(self, member: MemoryConsumer) -> None:
        """Let a member that was expelled for good learn of it (its partitions are revoked) and join again."""
        if member.group is None:
            raise ValueError(f"{member.name} is in no group")
        await self._rejoin(member.group, member, 0.0)

    def members(self, group: str) -> list[MemoryConsumer]:
        """The group's members, in the order in which they joined."""
        return [member for member in self._group(group).members if isinstance(member, MemoryConsumer)]

    async def _rejoin(self, group: Group, member: MemoryConsumer, seconds: float) -> None:
        await group.settled()
        await self.clock.sleep(seconds)
        await member.revoke()
        if member.running:
            group.join(member)
            await group.settled()

    def _group(self, name: str) -> Group:
        return self._groups.setdefault(name, Group(name, self.log))

    def _attempt(self, operation: str, topic: str, act: Callable[[], Any]) -> Any:
        fault = self._planned(operation, topic)
        if fault is None:
            return act()
        if fault.written:
            act()
        raise fault.error

    def _planned(self, operation: str, topic: str) -> _Fault | None:
        for fault in self._faults:
            if fault.operation == operation and fault.topic in (None, topic):
                self._faults.remove(fault)
                return fault
        return None


class MemoryAdmin:
    """ports.Admin of the log in memory."""

    def __init__(self, log: Log, groups: Callable[[str], Group]) -> None:
        self._log, self._groups = log, groups

    async def start(self) -> None:
        """Nothing to connect to."""

    async def stop(self) -> None:
        """Nothing to close."""

    async def apply(
        self, specs: Iterable[TopicSpec], *, replication_factor: int = 1, dry_run: bool = False
    ) -> list[TopicChange]:
        changes = []
        for spec in specs:
            known = self._log.topics.get(spec.name)
            changes.append(topic_change(spec, known.partitions if known else None, known.config if known else {}))
            if not dry_run:
                self._log.declare(spec)
        return changes

    async def partitions(self, topics: Collection[str]) -> dict[str, int]:
        return {name: self._log.topics[name].partitions for name in topics if name in self._log.topics}

    async def committed(self, group: str) -> dict[TopicPartition, int]:
        return dict(self._groups(group).committed)

    async def bookmarks(self, group: str) -> dict[TopicPartition, Bookmark]:
        known = self._groups(group)
        return {partition: Bookmark(offset, known.notes[partition]) for partition, offset in known.committed.items()}
