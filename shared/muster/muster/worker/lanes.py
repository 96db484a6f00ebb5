"""In which order a worker asks its lanes for work: high first, bulk never starved. Pure."""

from __future__ import annotations

from muster.contracts.topics import Lane

#: Who is asked first, turn by turn: of 16 turns 10 for high, 5 for default, 1 for bulk.
#: Whoever is not first still follows in order of urgency, so no slot stays free while any lane has work.
_FIRST = (
    Lane.HIGH, Lane.DEFAULT, Lane.HIGH, Lane.HIGH, Lane.DEFAULT, Lane.HIGH, Lane.HIGH, Lane.BULK,
    Lane.HIGH, Lane.DEFAULT, Lane.HIGH, Lane.HIGH, Lane.DEFAULT, Lane.HIGH, Lane.HIGH, Lane.DEFAULT,
)  # fmt: skip
_ORDERS = {first: (first, *(lane for lane in Lane if lane is not first)) for first in Lane}


def order_of_turn(turn: int) -> tuple[Lane, ...]:
    """The lanes in the order in which turn number `turn` asks them."""
    return _ORDERS[_FIRST[turn % len(_FIRST)]]
