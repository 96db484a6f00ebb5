"""Which tasks of dead workers must be run again. Pure; the tracker reads and writes.

The proof rests on the order: committed offsets first, then end offsets, then the projection passes them, then this
decision. STARTED is acknowledged before its offset is committed, so whoever accepted a record is visible by then.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from enum import Enum
from typing import NamedTuple

from muster.contracts.envelope import TaskRecord

#: Workers that one attempt may cost before its task is given up.
MAX_LOSSES = 3


class Claim(NamedTuple):
    """One worker's STARTED for a delivery; `abandoned` once it took it back."""

    worker: str
    topic: str
    partition: int
    offset: int
    abandoned: bool = False


class Verdict(Enum):
    """What becomes of a delivery that is STARTED in the projection."""

    #: A worker that still claims it may be alive.
    WAIT = "wait"
    #: Nobody accepted it: Kafka hands it out again by itself.
    LEFT_TO_KAFKA = "left to kafka"
    #: Accepted, and its worker is gone: run it again, delivery + 1, unless it was lost too often.
    LOST = "lost"


def judge(
    claims: Iterable[Claim],
    *,
    dead: Collection[str],
    committed: Mapping[tuple[str, int], int],
) -> Verdict:
    """Decide one delivery, after the barrier has passed.

    `committed` maps (topic, partition) to the group's next offset, read before the barrier. A claim that was taken back
    still proves acceptance if its offset is below the committed one: someone committed past it.
    """
    claims = tuple(claims)
    if any(not claim.abandoned and claim.worker not in dead for claim in claims):
        return Verdict.WAIT
    accepted = any(claim.offset < committed.get((claim.topic, claim.partition), 0) for claim in claims)
    return Verdict.LOST if accepted else Verdict.LEFT_TO_KAFKA


def is_given_up(lost: TaskRecord, *, max_losses: int = MAX_LOSSES) -> bool:
    """Whether a lost task has cost too many workers to run again: dead letter `worker_lost`.

    The record itself says how often it was handed back, so the answer outlives the projection.
    """
    return lost.losses >= max_losses
