"""What the leader asks the projection about revocations. SQL only; what follows from it is revocations.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import asyncpg
from muster.ports import TopicPartition

from tracker_service.recovery.claims import Connection

#: Rows looked at in one step.
LIMIT = 1000


def covers(order: str, round_of: str) -> str:
    """SQL: this row of `muster.revocations` is an order in force against this row's round of its task.

    The rule of `Revocation.covers`: exactly that round, neither what was redriven since nor what is yet to be.
    """
    return (
        f"{order}.task_id = {round_of}.task_id AND {order}.requested_at IS NOT NULL"
        f" AND {order}.redrive = {round_of}.redrive"
    )


# Waits far away: nobody will have its record in hand before, so nobody else can say that it is revoked. What waits for
# its turn is taken back there.
_FAR = f"""
    SELECT t.task_id, t.task_type, t.redrive, t.attempt, t.delivery, t.next_attempt_at, r.reason, r.asked_by
    FROM muster.revocations r JOIN muster.tasks t ON {covers("r", "t")}
    WHERE t.state IN ('PENDING', 'RETRY') AND t.next_attempt_at > $1 AND NOT EXISTS (
        SELECT FROM muster.turns s WHERE s.task_id = t.task_id AND s.redrive = t.redrive AND s.stage % 2 = 0)
    LIMIT {LIMIT}"""  # noqa: S608
# Nothing of the round that was taken back can come any more: its last record was in hand when it ended.
_DONE = f"""
    SELECT r.task_id, r.redrive FROM muster.revocations r JOIN muster.tasks t USING (task_id)
    WHERE r.requested_at IS NOT NULL AND (
        t.redrive > r.redrive OR t.redrive = r.redrive AND t.state IN ('SUCCESS', 'FAILURE'))
    LIMIT {LIMIT}"""  # noqa: S608
_MET = f"""
    SELECT m.task_id, r.redrive, m.topic, m."partition", m."offset"
    FROM muster.revoked_records m JOIN muster.tasks t USING (task_id) JOIN muster.revocations r ON {covers("r", "t")}
    WHERE t.state = 'REVOKED' LIMIT {LIMIT}"""  # noqa: S608
# No topic keeps a record so long after it was due.
_OUTLIVED = f"""
    SELECT r.task_id, r.redrive FROM muster.revocations r LEFT JOIN muster.tasks t USING (task_id)
    WHERE r.requested_at < $1
        AND coalesce(t.next_attempt_at, (t.detail::json ->> 'due')::timestamptz, r.requested_at) < $1
    LIMIT {LIMIT}"""  # noqa: S608
_FORGET = """
    DELETE FROM muster.revoked_records m
    WHERE m.at < $1 AND NOT EXISTS (
        SELECT FROM muster.revocations r WHERE r.task_id = m.task_id AND r.requested_at IS NOT NULL)"""
_RULES = "SELECT * FROM muster.revocation_rules WHERE requested_at IS NOT NULL ORDER BY requested_at"
# What a rule takes back and no order names yet. The states are written out, so that the index of open tasks serves.
_TAKEN_BACK = f"""
    SELECT t.task_id, t.redrive
    FROM muster.tasks t
    LEFT JOIN muster.revocations r ON {covers("r", "t")}
    LEFT JOIN muster.rounds o ON t.redrive > 0 AND o.task_id = t.task_id AND o.redrive = t.redrive
    WHERE t.state IN ('PENDING', 'STARTED', 'RETRY') AND t.task_id > $1
        AND coalesce(o.began_at, t.submitted_at) <= $2
        AND ($3::text IS NULL OR t.task_type = $3)
        AND ($4::bigint IS NULL OR t.submitter = $4)
        AND ($5::text IS NULL OR t.state = $5 AND t.changed_at <= $2)
        AND (r.task_id IS NULL OR ($6 AND NOT r.terminate))
    ORDER BY t.task_id LIMIT {LIMIT}"""  # noqa: S608


class Met(NamedTuple):
    """A record of a revoked task that a worker had in hand, or that waited for its turn."""

    task_id: str
    redrive: int
    topic: str
    partition: int
    offset: int

    def is_behind(self, committed: Mapping[TopicPartition, int], door: str) -> bool:
        """Nobody is handed this record again: the group has committed past it, or it lies at the door (a topic)."""
        return self.topic == door or self.offset < committed.get(TopicPartition(self.topic, self.partition), 0)


async def far(connection: Connection, after: datetime) -> list[asyncpg.Record]:
    """Revoked tasks that are due only after this instant and not shown as REVOKED yet."""
    return await connection.fetch(_FAR, after)


async def done(connection: Connection) -> list[tuple[str, int]]:
    """Tasks, with the round, whose revocation has nothing left to keep from starting."""
    return [(row["task_id"], row["redrive"]) for row in await connection.fetch(_DONE)]


async def met(connection: Connection) -> list[Met]:
    """REVOKED tasks whose record somebody named who had it in hand."""
    return [Met(*row) for row in await connection.fetch(_MET)]


async def outlived(connection: Connection, before: datetime) -> list[tuple[str, int]]:
    """Tasks, with the round, that were revoked, and due, before this instant."""
    return [(row["task_id"], row["redrive"]) for row in await connection.fetch(_OUTLIVED, before)]


async def forget_met(connection: Connection, before: datetime) -> None:
    """Drop what was noted about records whose revocation has been withdrawn."""
    await connection.execute(_FORGET, before)


async def rules(connection: Connection) -> list[asyncpg.Record]:
    return await connection.fetch(_RULES)


async def taken_back(connection: Connection, rule: asyncpg.Record, after: str) -> Sequence[asyncpg.Record]:
    """The next open tasks, by id, that this rule takes back and no order names."""
    return await connection.fetch(
        _TAKEN_BACK, after, rule["requested_at"], rule["task_type"], rule["submitter"], rule["state"], rule["terminate"]
    )
