"""Who hands how many waiting tasks to whom: shares of the idle slots that a service's heartbeats tell of. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from muster.contracts.envelope import TaskRecord
from muster.ports import TopicPartition

#: A task that was handed over so often stays: who keeps passing it on sees a picture that is not true.
MAX_HANDOVERS = 3


class Load(NamedTuple):
    """What a worker has to tell the others; at most one of the two numbers is not 0."""

    #: Slots that are free and that nothing of its own waits for.
    idle: int
    #: Records in its partitions that it has no slot for.
    surplus: int
    partitions: frozenset[TopicPartition]

    @classmethod
    def of(cls, free: int, waiting: int, partitions: Collection[TopicPartition]) -> Load:
        """From free slots and records that wait in the worker's own partitions."""
        return cls(max(0, free - waiting), max(0, waiting - free), frozenset(partitions))


class Peer(NamedTuple):
    """Another worker of the service, as it told of itself last."""

    worker: str
    load: Load


def share(worker: str, surplus: int, peers: Sequence[Peer]) -> int:
    """How many tasks `worker`, whose slots are full, may hand over: its part of all idle slots seen.

    Every full worker with a surplus computes the same parts; of slots that cannot be divided the largest surplus takes
    one first. One that has seen no surplus of its own yet comes last.
    """
    idle = sum(peer.load.idle for peer in peers)
    rivals = [(-peer.load.surplus, peer.worker) for peer in peers if peer.load.surplus]
    place = sorted([*rivals, (-surplus, worker)]).index((-surplus, worker))
    part, rest = divmod(idle, len(rivals) + 1)
    return part + (place < rest)


def reachable(peers: Sequence[Peer]) -> frozenset[str]:
    """The lanes of which an idle worker owns a partition."""
    return frozenset(partition.topic for peer in peers if peer.load.idle for partition in peer.load.partitions)


def may_travel(task: TaskRecord) -> bool:
    """False for a task that was passed on too often.

    An order key binds no task to its partition: where a keyed one stands in a lane, it was called, alone of its key.
    """
    return task.handover < MAX_HANDOVERS


def destination(lane: str, peers: Sequence[Peer]) -> tuple[str, TopicPartition] | None:
    """The worker with the most idle slots that owns a partition of `lane`, and that partition."""
    best: tuple[int, str, TopicPartition] | None = None
    for peer in peers:
        owned = [partition for partition in peer.load.partitions if partition.topic == lane]
        if owned and peer.load.idle and (best is None or (peer.load.idle, peer.worker) > best[:2]):
            best = (peer.load.idle, peer.worker, min(owned))
    return best and (best[1], best[2])


def worth_telling(told: Load, now: Load, peers: Sequence[Peer]) -> bool:
    """Whether others should hear at once that `now` is not what they were told.

    How many slots exactly are idle matters only while somebody has work for them.
    """
    if told.partitions != now.partitions or bool(told.idle) != bool(now.idle):
        return True
    if bool(told.surplus) != bool(now.surplus):
        return True
    return told.idle != now.idle and any(peer.load.surplus for peer in peers)
