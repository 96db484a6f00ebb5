"""A position in the lattice of contracts/states.py as one number, so that PostgreSQL compares it in one step. Pure."""

from __future__ import annotations

from muster.contracts.envelope import MAX_ATTEMPT
from muster.contracts.states import PRECEDENCE, TaskState

# 14 bits each hold MAX_ATTEMPT; from the lowest: started, delivery, attempt, terminal, redrive.
_DELIVERY, _ATTEMPT, _TERMINAL, _REDRIVE = 1, 15, 29, 30
assert MAX_ATTEMPT < 2**14  # noqa: S101


def waiting_rank(redrive: int, attempt: int, delivery: int) -> int:
    """In a lane, or on its way to one."""
    return redrive << _REDRIVE | attempt << _ATTEMPT | delivery << _DELIVERY


def started_rank(redrive: int, attempt: int, delivery: int) -> int:
    return waiting_rank(redrive, attempt, delivery) | 1


def terminal_rank(redrive: int, state: TaskState) -> int:
    """An end; of two different ones in a round the one of higher precedence counts."""
    return redrive << _REDRIVE | 1 << _TERMINAL | PRECEDENCE[state] << _ATTEMPT


def is_terminal(rank: int) -> bool:
    return bool(rank >> _TERMINAL & 1)
