"""Who hands how much to whom, as a table of decisions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from muster.contracts.envelope import TaskRecord
from muster.ports import TopicPartition
from muster.worker.sharing import (
    MAX_HANDOVERS,
    Load,
    Peer,
    destination,
    may_travel,
    reachable,
    share,
    worth_telling,
)

LANE, BULK = "tasks.media.default", "tasks.media.bulk"


def peer(worker: str, *, idle: int = 0, surplus: int = 0, partitions: tuple[tuple[str, int], ...] = ()) -> Peer:
    return Peer(worker, Load(idle, surplus, frozenset(TopicPartition(*partition) for partition in partitions)))


@pytest.mark.parametrize(
    ("free", "waiting", "idle", "surplus"),
    [
        (2, 0, 2, 0),  # nothing of its own waits: every free slot may be filled by others
        (2, 1, 1, 0),  # one slot is as good as taken
        (2, 5, 0, 3),  # it is about to be full
        (0, 4, 0, 4),
        (0, 0, 0, 0),
    ],
)
def test_only_slots_that_nothing_of_their_own_waits_for_are_idle(
    free: int, waiting: int, idle: int, surplus: int
) -> None:
    assert Load.of(free, waiting, ())[:2] == (idle, surplus)


@pytest.mark.parametrize(
    ("own", "others", "expected"),
    [
        (9, [peer("b", idle=2), peer("c", idle=1)], 3),  # nobody else has work: all of it
        (9, [peer("b")], 0),  # nobody is idle
        (9, [peer("b", idle=4), peer("c", surplus=3)], 2),  # two have work: half each
        (9, [peer("b", idle=1), peer("c", surplus=3)], 1),  # the larger surplus takes the odd slot
        (2, [peer("b", idle=1), peer("c", surplus=3)], 0),
        (3, [peer("b", idle=1), peer("c", surplus=3)], 1),  # equal: by name
        (0, [peer("b", idle=3), peer("c", surplus=3)], 1),  # its own surplus is not known yet: last in line
        (9, [], 0),
    ],
)
def test_a_full_worker_takes_no_more_than_its_share_of_the_idle_slots(
    own: int, others: list[Peer], expected: int
) -> None:
    assert share("a", own, others) == expected


@given(
    st.dictionaries(st.text("abcdefgh", min_size=1, max_size=3), st.integers(-9, 9), min_size=2, max_size=9),
)
def test_the_shares_of_all_full_workers_are_the_idle_slots(loads: dict[str, int]) -> None:
    """Positive: idle slots; negative: a surplus."""
    peers = [peer(worker, idle=max(0, load), surplus=max(0, -load)) for worker, load in loads.items()]
    full = [one for one in peers if one.load.surplus]

    shares = [share(one.worker, one.load.surplus, [other for other in peers if other != one]) for one in full]

    assert sum(shares) == (sum(one.load.idle for one in peers) if full else 0)


def test_a_task_goes_to_the_most_idle_owner_of_a_partition_of_its_lane() -> None:
    peers = [
        peer("b", idle=1, partitions=((LANE, 2),)),
        peer("c", idle=2, partitions=((LANE, 5), (LANE, 4))),
        peer("d", idle=9, partitions=((BULK, 0),)),
        peer("e", surplus=9, partitions=((LANE, 1),)),
    ]

    assert destination(LANE, peers) == ("c", TopicPartition(LANE, 4))
    assert destination("tasks.media.high", peers) is None
    assert reachable(peers) == {LANE, BULK}


def test_a_task_that_travelled_enough_stays() -> None:
    assert may_travel(TaskRecord(task_id="t", task_type="noop", body=b""))
    assert may_travel(TaskRecord(task_id="t", task_type="noop", body=b"", order_key="cadet-7", sequenced=1))
    assert may_travel(TaskRecord(task_id="t", task_type="noop", body=b"", handover=MAX_HANDOVERS - 1))
    assert not may_travel(TaskRecord(task_id="t", task_type="noop", body=b"", handover=MAX_HANDOVERS))


@pytest.mark.parametrize(
    ("told", "now", "peers", "worth"),
    [
        (Load(0, 0, frozenset()), Load(2, 0, frozenset()), [], True),  # became idle
        (Load(2, 0, frozenset()), Load(0, 0, frozenset()), [], True),  # became busy
        (Load(0, 0, frozenset()), Load(0, 3, frozenset()), [], True),  # has work for others
        (Load(0, 7, frozenset()), Load(0, 3, frozenset()), [], False),  # still has
        (Load(2, 0, frozenset()), Load(1, 0, frozenset()), [], False),  # nobody has work for the difference
        (Load(2, 0, frozenset()), Load(1, 0, frozenset()), [peer("b", surplus=1)], True),
        (Load(2, 0, frozenset()), Load(2, 0, frozenset({TopicPartition(LANE, 1)})), [], True),  # owns another partition
    ],
)
def test_others_hear_at_once_what_changes_their_decisions(
    told: Load, now: Load, peers: list[Peer], worth: bool
) -> None:
    assert worth_telling(told, now, peers) is worth
