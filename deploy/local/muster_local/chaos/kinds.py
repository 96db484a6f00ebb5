"""The kinds of tasks that chaos mixes: how many of each, and how each must end. The functions are tasks.py's."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """`end`: state and failure kind, unless workers die under it again and again."""

    weight: int
    end: tuple[str, str | None] = ("SUCCESS", None)
    #: Whether it leaves a row in PostgreSQL.
    effect: bool = True


KINDS = {
    "quick": Kind(52),
    "nap": Kind(20),
    "stumble": Kind(14),
    "falter": Kind(3, ("FAILURE", "error"), effect=False),
    "refuse": Kind(5, ("FAILURE", "permanent"), effect=False),
    "grind": Kind(6, effect=False),
}
