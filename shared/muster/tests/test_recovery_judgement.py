"""Sentences about which deliveries of dead workers run again."""

from __future__ import annotations

import pytest
from muster.contracts.recovery import Claim, Verdict, judge

LANE = "tasks.media.default"


@pytest.mark.parametrize(
    ("claims", "delivery", "verdict"),
    [
        # the one claimant lives
        ([Claim("alive", LANE, 0, 7)], 1, Verdict.WAIT),
        # accepted, since 7 lies below 10, and lost
        ([Claim("dead", LANE, 0, 7)], 1, Verdict.REDELIVER),
        # never accepted (12 >= 10): the group hands it out again by itself
        ([Claim("dead", LANE, 0, 12)], 1, Verdict.LEFT_TO_KAFKA),
        # the dead one had claimed it, but a living one took it after the rebalance
        ([Claim("dead", LANE, 0, 7), Claim("alive", LANE, 0, 7)], 1, Verdict.WAIT),
        # the living one took its claim back, and somebody committed past it: the dead one had accepted
        ([Claim("dead", LANE, 0, 7), Claim("alive", LANE, 0, 7, abandoned=True)], 1, Verdict.REDELIVER),
        # everyone took it back, yet it is committed: the answer to a commit was lost
        ([Claim("alive", LANE, 0, 7, abandoned=True)], 1, Verdict.REDELIVER),
        # everyone took it back and nobody accepted
        ([Claim("alive", LANE, 0, 12, abandoned=True)], 1, Verdict.LEFT_TO_KAFKA),
        # the third worker died over it: a poison task
        ([Claim("dead", LANE, 0, 7)], 3, Verdict.GIVE_UP),
        # another partition's offset says nothing about this one
        ([Claim("dead", LANE, 1, 7)], 1, Verdict.LEFT_TO_KAFKA),
    ],
)
def test_a_delivery_is_judged_by_its_claims(claims: list[Claim], delivery: int, verdict: Verdict) -> None:
    assert judge(claims, delivery=delivery, dead={"dead"}, committed={(LANE, 0): 10}) is verdict
