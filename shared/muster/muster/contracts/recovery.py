"""Which tasks of dead workers must be run again. Pure; the tracker reads and writes.

The proof rests on the order: committed offsets first, then end offsets, then the projection passes them, then this
decision. STARTED is acknowledged before its offset is committed, so whoever accepted a record is visible by then.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from enum import Enum
from typing import NamedTuple

MAX_DELIVERIES = 3


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
    #: Accepted and lost: run it again, delivery + 1.
    REDELIVER = "redeliver"
    #: Accepted and lost too often: dead letter `worker_lost`.
    GIVE_UP = "give up"


def judge(
    claims: Iterable[Claim],
    *,
    delivery: int,
    dead: Collection[str],
    committed: Mapping[tuple[str, int], int],
    max_deliveries: int = MAX_DELIVERIES,
) -> Verdict:
    """Decide one delivery, after the barrier has passed.

    `committed` maps (topic, partition) to the group's next offset, read before the barrier. A claim that was taken back
    still proves acceptance if its offset is below the committed one: someone committed past it.
    """
    claims = tuple(claims)
    if any(not claim.abandoned and claim.worker not in dead for claim in claims):
        return Verdict.WAIT
    accepted = any(claim.offset < committed.get((claim.topic, claim.partition), 0) for claim in claims)
    if not accepted:
        return Verdict.LEFT_TO_KAFKA
    return Verdict.GIVE_UP if delivery >= max_deliveries else Verdict.REDELIVER
