"""What recovery asks the projection: open claims, and whether it has passed the barrier. SQL only."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple, TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy
from muster.contracts.recovery import Claim
from muster.ports import TopicPartition

from tracker_service.turns.seat import is_left

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"

# A claim counts while its task stands exactly where the claim put it (t.rank = c.rank): STARTED, this delivery.
_OPEN_WORKERS = "SELECT DISTINCT worker FROM muster.claims WHERE open"
# A claim that was taken back counts like a dead worker's: when the answer to a commit is lost and the group moves on, a
# worker takes its record for refused although it was accepted, and nobody else will ever claim it.
_ANY_ABANDONED = "SELECT EXISTS (SELECT FROM muster.claims WHERE open AND abandoned)"
_CLAIMED_TOPICS = "SELECT DISTINCT topic FROM muster.claims WHERE open AND (abandoned OR worker = ANY($1::text[]))"
_CLOSE = """
    UPDATE muster.claims c SET open = false FROM muster.tasks t
    WHERE c.open AND (c.abandoned OR c.worker = ANY($1::text[])) AND t.task_id = c.task_id AND t.rank > c.rank"""
_CLAIMS = """
    SELECT c.task_id, t.task_type, c.redrive, c.attempt, c.delivery, c.worker, c.topic, c."partition", c."offset",
        c.abandoned, c.sequenced
    FROM muster.claims c JOIN muster.tasks t ON t.task_id = c.task_id AND t.rank = c.rank
    WHERE c.task_id IN (SELECT task_id FROM muster.claims WHERE open AND (abandoned OR worker = ANY($1::text[])))
    ORDER BY c.task_id, c."offset" """
# Behind the lock under which room.mark works: a mark that is being made is seen, a later one sees these claims.
_STAGES = """
    SELECT task_id, redrive, stage FROM muster.turns WHERE task_id = ANY($1::text[])
    ORDER BY task_id, redrive FOR SHARE"""
_BEHIND = """
    SELECT count(*) FROM unnest($1::text[], $2::int[], $3::bigint[]) AS n (topic, "partition", until)
    LEFT JOIN muster.offsets o USING (topic, "partition") WHERE coalesce(o.next_offset, 0) < n.until"""


class Suspect(NamedTuple):
    """A task that is STARTED on a dead worker, with every claim to that delivery."""

    task_id: str
    task_type: str
    redrive: int
    attempt: int
    delivery: int
    claims: tuple[Claim, ...]


async def open_workers(connection: Connection) -> frozenset[str]:
    """Workers that hold a claim nobody has looked at since its task went on."""
    return frozenset(row["worker"] for row in await connection.fetch(_OPEN_WORKERS))


async def any_abandoned(connection: Connection) -> bool:
    """Whether a claim was taken back of which nobody has looked whether its task went on."""
    return bool(await connection.fetchval(_ANY_ABANDONED))


async def claimed_topics(connection: Connection, workers: Collection[str]) -> list[str]:
    return [row["topic"] for row in await connection.fetch(_CLAIMED_TOPICS, list(workers))]


async def suspects(connection: Connection, dead: Collection[str]) -> list[Suspect]:
    """Tasks still STARTED that a dead worker claims or any worker gave back; claims of others are closed on the way.

    A claim to a record that its task has left by a later call is void (seat.is_left): nobody accepted it.
    """
    await connection.execute(_CLOSE, list(dead))
    found: dict[tuple[str, str, int, int, int], list[Claim]] = {}
    rows = await connection.fetch(_CLAIMS, list(dead))
    named = sorted({row["task_id"] for row in rows})
    stages = {(row["task_id"], row["redrive"]): row["stage"] for row in await connection.fetch(_STAGES, named)}
    for row in rows:
        if is_left(row["sequenced"], stages.get((row["task_id"], row["redrive"]), 0)):
            continue
        key = (row["task_id"], row["task_type"], row["redrive"], row["attempt"], row["delivery"])
        claim = Claim(row["worker"], row["topic"], row["partition"], row["offset"], row["abandoned"])
        found.setdefault(key, []).append(claim)
    return [Suspect(*key, tuple(claims)) for key, claims in found.items()]


async def passed(connection: Connection, ends: Mapping[TopicPartition, int]) -> bool:
    """The projection has folded everything before these offsets."""
    topics, partitions = [p.topic for p in ends], [p.partition for p in ends]
    return not await connection.fetchval(_BEHIND, topics, partitions, list(ends.values()))
