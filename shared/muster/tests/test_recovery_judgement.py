"""Sentences about which deliveries of dead workers run again."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest
from muster.contracts.envelope import HandedBack, TaskRecord, parse_task
from muster.contracts.recovery import Claim, Verdict, is_given_up, judge

NOW = datetime(2026, 11, 23, tzinfo=UTC)
LANE = "tasks.media.default"


@pytest.mark.parametrize(
    ("claims", "verdict"),
    [
        # the one claimant lives
        ([Claim("alive", LANE, 0, 7)], Verdict.WAIT),
        # accepted, since 7 lies below 10, and lost
        ([Claim("dead", LANE, 0, 7)], Verdict.LOST),
        # never accepted (12 >= 10): the group hands it out again by itself
        ([Claim("dead", LANE, 0, 12)], Verdict.LEFT_TO_KAFKA),
        # the dead one had claimed it, but a living one took it after the rebalance
        ([Claim("dead", LANE, 0, 7), Claim("alive", LANE, 0, 7)], Verdict.WAIT),
        # the living one took its claim back, and somebody committed past it: the dead one had accepted
        ([Claim("dead", LANE, 0, 7), Claim("alive", LANE, 0, 7, abandoned=True)], Verdict.LOST),
        # everyone took it back, yet it is committed: the answer to a commit was lost
        ([Claim("alive", LANE, 0, 7, abandoned=True)], Verdict.LOST),
        # everyone took it back and nobody accepted
        ([Claim("alive", LANE, 0, 12, abandoned=True)], Verdict.LEFT_TO_KAFKA),
        # another partition's offset says nothing about this one
        ([Claim("dead", LANE, 1, 7)], Verdict.LEFT_TO_KAFKA),
    ],
)
def test_a_delivery_is_judged_by_its_claims(claims: list[Claim], verdict: Verdict) -> None:
    assert judge(claims, dead={"dead"}, committed={(LANE, 0): 10}) is verdict


@pytest.mark.parametrize(
    ("delivery", "handed_back", "given_up"),
    [
        (1, 0, False),
        (2, 0, False),
        # the third worker died over it: a poison task
        (3, 0, True),
        # two workers of these three left in peace
        (3, 2, False),
        # many deploys, two deaths
        (40, 38, False),
        (40, 37, True),
    ],
)
def test_a_lost_task_is_given_up_after_three_lost_workers_however_often_it_was_handed_back(
    delivery: int, handed_back: int, given_up: bool
) -> None:
    back = HandedBack(handed_back, 1, "leaver", NOW) if handed_back else None
    task = TaskRecord(task_id="t", task_type="noop", body=b"{}", delivery=delivery, handed_back=back)

    assert is_given_up(parse_task(task.headers(), task.body)) is given_up


def test_a_strangers_header_that_counts_too_many_hand_backs_does_not_let_a_poison_task_live_for_ever() -> None:
    forged = TaskRecord(
        task_id="t", task_type="noop", body=b"{}", delivery=1, handed_back=HandedBack(9_999, 1, "nobody", NOW)
    )
    lost, losses = parse_task(forged.headers(), forged.body), 1

    while not is_given_up(lost):
        again = msgspec.structs.replace(lost, delivery=lost.delivery + 1)
        lost, losses = parse_task(again.headers(), again.body), losses + 1

    assert losses == 3
