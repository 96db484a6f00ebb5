"""What became of each mail of a task, so that another run sends only those still open. Lies in schema `muster`.

A row is written right after the mail server took the mail, or refused it for good. Addresses are not kept: a recipient
is the hash of one.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

from rotc.connection import Connection
from rotc.sql import load

SQL = load("sent_mails")
#: Several workers start at once, and CREATE ... IF NOT EXISTS is not safe against itself. Any constant will do.
_SCHEMA_LOCK = 7_306_029
#: Longer than a task can be run again: dead letters stay for 90 days.
KEEP_DAYS = 120

State = Literal["sent", "refused", "skipped"]


@dataclass(frozen=True, slots=True)
class MailOutcome:
    """How one mail ended; `code` is the mail server's, None where it was not asked; `reason` names no address."""

    state: State
    code: int | None = None
    reason: str = ""


def recipient_key(address: str) -> str:
    """What stands for an address; upper and lower case are the same person."""
    return hashlib.sha256(address.lower().encode()).hexdigest()


async def ensure(connection: Connection) -> None:
    """Create the table where it is missing."""
    async with connection.transaction():
        await connection.execute(SQL["lock_schema"], _SCHEMA_LOCK)
        await connection.execute(SQL["create_schema"])
        await connection.execute(SQL["create_table"])


async def outcomes(connection: Connection, task_id: str) -> dict[str, MailOutcome]:
    """What earlier runs of a task wrote down, by `recipient_key`."""
    rows = await connection.fetch(SQL["outcomes"], task_id)
    return {row["recipient"]: MailOutcome(row["state"], row["code"], row["reason"]) for row in rows}


async def record(connection: Connection, task_id: str, recipient: str, outcome: MailOutcome) -> None:
    """Write one down; what is written already stays."""
    await connection.execute(SQL["record"], task_id, recipient, outcome.state, outcome.code, outcome.reason)


async def forget_old(connection: Connection, batch: int) -> int:
    """Remove at most `batch` rows that nobody will ask for again; returns how many."""
    return int(await connection.fetchval(SQL["forget_old"], KEEP_DAYS, batch))
