"""The protocol's rules, each of which can be broken on purpose: a simulation that does not notice proves nothing."""

from __future__ import annotations

from enum import Enum


class Mutation(Enum):
    """One rule broken; the value says which."""

    COMMIT_BEFORE_ACKNOWLEDGE = "offsets are committed before STARTED is acknowledged"
    GENERATION_READ_LATE = "a commit is asked for under the generation of its asking, not of its records"
    TAKEN_TWICE = "a worker takes a record again before it has taken its first claim to it back"
    NO_ABANDONED = "a worker whose commit was refused does not take its claim back"
    EARLY_RETRY = "a retry is written before the acceptance is confirmed"
    UNFENCED_SETTLEMENT = "a worker that woke up settles before it looks at the age of its heartbeat"
    NO_BARRIER = "recovery judges without waiting for the projection"
    ABANDONED_IGNORED = "recovery judges claims of dead workers only, not those that were taken back"
    UNFENCED_LEADER = "a leader that was deposed in the middle of a round can still write"
    LATE_FENCE = "a leader takes the fence only when it writes, after it has looked"
    NO_COMMITTED_CHECK = "recovery redelivers what nobody accepted"
    LAST_CLAIM_ONLY = "recovery knows only the last claim to a delivery"
    COPY_BEFORE_ACCEPTANCE = "a task is handed over before its acceptance is confirmed"
    HANDED_OVER_UNCLAIMED = "a task handed over is not claimed first: its offset is committed, then it is copied"
    HANDED_OVER_AS_IT_WAS = "a task handed over is no new delivery"
    HAND_BACKS_COUNTED = "a delivery that was handed back counts as a lost worker"
    EARLY_RELEASE = "a delayed record goes to its lane after its first hop"
    UNFENCED_MOVER = "a mover that was replaced can still move"
