"""The states of a task and their order: a join in a lattice, so late or repeated records never move a task backwards.

Pure; who stores a state, and how, is the tracker's business.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class TaskState(StrEnum):
    """What the API says of a task. Names are those of the reference document."""

    #: Waiting for its first attempt, in its lane or for its due time.
    PENDING = "PENDING"
    #: A worker has begun the current attempt.
    STARTED = "STARTED"
    #: An attempt failed; the next one waits for its due time or in its lane.
    RETRY = "RETRY"
    #: Ended with a result.
    SUCCESS = "SUCCESS"
    #: Ended in the dead-letter topic.
    FAILURE = "FAILURE"
    #: Taken back before it ended, or expired before it began.
    REVOKED = "REVOKED"

    @property
    def terminal(self) -> bool:
        return self in TERMINAL


TERMINAL = frozenset({TaskState.SUCCESS, TaskState.FAILURE, TaskState.REVOKED})


#: Between two ends of one round, as two workers may write them when one of them was taken for dead: what was done
#: counts most, and a dead letter can be run again. Fixed, so that the order of reading does not matter.
PRECEDENCE = {TaskState.REVOKED: 1, TaskState.FAILURE: 2, TaskState.SUCCESS: 3}


class Rank(NamedTuple):
    """Position of one fact about a task; larger wins, field by field.

    `redrive` comes first, so that a redriven task leaves its FAILURE; `terminal` second, so that within one round
    nothing follows an end; then the attempt, its delivery, and STARTED (1) after waiting (0). The third of an end is
    its precedence.
    """

    redrive: int
    terminal: bool
    attempt: int
    delivery: int
    started: bool


def rank(state: TaskState, *, attempt: int, delivery: int, redrive: int = 0) -> Rank:
    """The rank of a fact. Between equal ends of one round the one that was written first counts."""
    if state.terminal:
        return Rank(redrive, True, PRECEDENCE[state], 0, False)
    return Rank(redrive, False, attempt, delivery, state is TaskState.STARTED)


def waiting_state(attempt: int) -> TaskState:
    """How a task that waits is shown: RETRY once an attempt has failed."""
    return TaskState.PENDING if attempt == 1 else TaskState.RETRY


class FailureKind(StrEnum):
    """Why a task ended in the dead letter."""

    #: The task raised, and its attempts are used up.
    ERROR = "error"
    #: The task raised what its type declares final.
    PERMANENT = "permanent"
    #: The record or its parameters break the contract.
    INVALID = "invalid"
    #: No worker of the service knows the task type.
    UNKNOWN_TASK = "unknown_task"
    #: The hard time limit was reached, and the attempts are used up.
    TIMEOUT = "timeout"
    #: Several workers died while running it.
    WORKER_LOST = "worker_lost"
    #: The record's signature is missing or wrong.
    UNAUTHENTICATED = "unauthenticated"
