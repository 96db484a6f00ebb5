"""The consumer group of the workers: generations, owners, committed offsets. What members do is worker.py's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from muster.ports import TopicPartition

from .timeline import Act, Timeline

#: A member that says nothing for so long is put out of the group.
SESSION = 4.0


class Member(Protocol):
    """What the group needs of a worker."""

    @property
    def awake(self) -> bool: ...
    def later(self, seconds: float, act: Act) -> None: ...
    def on_revoked(self) -> None: ...
    def on_assigned(self, generation: int, partitions: Sequence[TopicPartition]) -> None: ...


class Group:
    """The eager protocol: everybody lets go, then everybody gets a new share."""

    def __init__(self, timeline: Timeline, partitions: Sequence[TopicPartition]) -> None:
        self._timeline = timeline
        self._partitions = list(partitions)
        self.committed = dict.fromkeys(partitions, 0)
        self.generation = 0
        self.members: list[Member] = []
        self._moving = False

    def join(self, member: Member) -> None:
        if member not in self.members:
            self.members.append(member)
            self.rebalance()

    def leave(self, member: Member) -> None:
        if member in self.members:
            self.members.remove(member)
            self.rebalance()

    def miss(self, member: Member) -> None:
        """The member went silent: after its session it is out."""
        self._timeline.after(SESSION, lambda: None if member.awake else self.leave(member))

    def rebalance(self) -> None:
        if self._moving:
            return
        self._moving = True
        for member in self.members:
            member.later(self._timeline.random.uniform(0.0, 0.4), member.on_revoked)
        self._timeline.after(self._timeline.random.choice((0.5, 1.0, 6.0)), self._complete)

    def commit(self, member: Member, generation: int, offsets: Mapping[TopicPartition, int]) -> bool:
        """The broker looks at the member and its generation, at nothing else."""
        if member not in self.members or generation != self.generation:
            return False
        self.committed.update(offsets)
        return True

    def _complete(self) -> None:
        self._moving = False
        self.generation += 1
        self.members = [member for member in self.members if member.awake]
        shares: dict[int, list[TopicPartition]] = {}
        for partition in self._partitions if self.members else ():
            shares.setdefault(self._timeline.random.randrange(len(self.members)), []).append(partition)
        for number, member in enumerate(self.members):
            share, generation = tuple(shares.get(number, ())), self.generation
            member.later(self._timeline.random.uniform(0.0, 0.3), _assignment(member, generation, share))


def _assignment(member: Member, generation: int, share: Sequence[TopicPartition]) -> Act:
    return lambda: member.on_assigned(generation, share)
