"""Decides whether the first of a queue is called. Pure: who looks, marks and writes is the coordinator's.

The proof that no two tasks of one key run at once, and that nothing waits for ever, is docs/decisions/0006-turns.md.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import Enum
from typing import NamedTuple

from tracker_service.projection.rank import is_terminal, started_rank, waiting_rank
from tracker_service.turns.seat import Seat

#: A task that came back after a call is called again this much later at the soonest: the worker that sent it back has
#: not heard of the resume yet.
COOLING = timedelta(seconds=1)


class Verdict(Enum):
    """What becomes of the first of a queue, or of one that waits further behind."""

    CALL = "call it now"
    #: Its task has ended, or is in a later round: the seat is to be removed.
    OVER = "over"
    #: Called and not over, or its task goes on elsewhere: whatever happens there makes the queue due again.
    AWAY = "away"
    #: Its type is paused: the resume makes the queue due again.
    HELD = "held"
    #: It was called a moment ago and came back.
    COOLING = "cooling"
    #: The lane record it came from may be handed out once more: clearing.py makes the queue due.
    UNCLEARED = "uncleared"
    REVOKED = "revoked"
    EXPIRED = "expired"


class Standing(NamedTuple):
    """What the projection knows beside the seat."""

    #: Of the task; None: no row.
    rank: int | None
    #: Its type is paused.
    paused: bool = False
    #: Its revocation is asked for.
    revoked: bool = False
    #: A seat of the queue, this or another, was called and is not over.
    queue_busy: bool = False
    #: It is STARTED, but every claim to that is to a record which it has left by a later call (seat.is_left).
    claims_void: bool = False


def verdict_of(seat: Seat, standing: Standing, now: datetime) -> Verdict:
    """For the first of its queue. One that waits behind may be OVER, REVOKED or EXPIRED all the same."""
    here = waiting_rank(seat.redrive, seat.attempt, seat.delivery)
    void = standing.claims_void and standing.rank == started_rank(seat.redrive, seat.attempt, seat.delivery)
    if standing.rank is not None and standing.rank > here and not void:
        later_round = standing.rank >= waiting_rank(seat.redrive + 1, 0, 0)
        return Verdict.OVER if later_round or is_terminal(standing.rank) else Verdict.AWAY
    if standing.queue_busy or not seat.waits:
        return Verdict.AWAY
    if standing.revoked:
        return Verdict.REVOKED
    if seat.expires_at is not None and seat.expires_at <= now:
        return Verdict.EXPIRED
    if standing.paused:
        return Verdict.HELD
    if seat.left is not None:
        return Verdict.UNCLEARED
    # A time in the future is the wrong clock of some worker: it may not hold the task up.
    if seat.stage and timedelta(0) <= now - seat.came_at < COOLING:
        return Verdict.COOLING
    return Verdict.CALL
