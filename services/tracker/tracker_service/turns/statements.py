"""The SQL of the waiting room: how seats are joined with what is stored, and what the leader asks and marks.

seat.py has the same join for facts that meet in memory.
"""

from __future__ import annotations

from tracker_service.recovery.orders import covers
from tracker_service.turns.seat import SEAT_COLUMNS

_TYPES = {
    "redrive": "smallint", "stage": "integer", "attempt": "smallint", "delivery": "smallint",
    "came_at": "timestamptz", "sent": "boolean", "expires_at": "timestamptz", "offset": "bigint",
    "partition": "integer", "headers": "bytea", "body": "bytea",
}  # fmt: skip
_COLUMNS = ", ".join(f'"{name}"' for name in SEAT_COLUMNS)
#: What the fact that speaks last says.
_LATEST = ("task_type", "stage", "attempt", "delivery", "expires_at", "left")


def _merge() -> str:
    arrays = ", ".join(f"${number}::{_TYPES.get(name, 'text')}[]" for number, name in enumerate(SEAT_COLUMNS, 1))
    wins = "(excluded.stage, excluded.attempt, excluded.delivery) > (s.stage, s.attempt, s.delivery)"
    ties = "(excluded.stage, excluded.attempt, excluded.delivery) = (s.stage, s.attempt, s.delivery)"
    earlier = 's."offset" IS NULL OR (excluded."offset", excluded."partition") < (s."offset", s."partition")'
    latest = [f'"{name}" = CASE WHEN {wins} THEN excluded."{name}" ELSE s."{name}" END' for name in _LATEST]
    # In Kafka: nobody has to write it again.
    record = [
        f"{name} = CASE WHEN {wins} THEN excluded.{name} WHEN {ties} AND excluded.sent THEN NULL ELSE s.{name} END"
        for name in ("headers", "body")
    ]
    place = [
        f'"{name}" = CASE WHEN {earlier} THEN excluded."{name}" ELSE s."{name}" END' for name in ("offset", "partition")
    ]
    # A task that has ended takes no seat. MERGE_TASKS holds the lock of its row, so nobody ends it meanwhile.
    return f"""
        INSERT INTO muster.turns AS s ({_COLUMNS})
        SELECT n.* FROM unnest({arrays}) AS n ({_COLUMNS})
        LEFT JOIN muster.tasks t ON t.task_id = n.task_id
            AND (t.redrive > n.redrive OR t.redrive = n.redrive AND t.finished_at IS NOT NULL)
        WHERE t.task_id IS NULL
        ON CONFLICT (task_id, redrive) DO UPDATE SET
            {", ".join([*latest, *record, *place])},
            came_at = CASE WHEN {wins} THEN excluded.came_at WHEN {ties} THEN least(s.came_at, excluded.came_at)
                ELSE s.came_at END,
            sent = CASE WHEN {wins} THEN excluded.sent ELSE s.sent OR {ties} AND excluded.sent END
        RETURNING queue, stage"""  # noqa: S608


MERGE_SEATS = _merge()

REMOVE_ENDED = """
    DELETE FROM muster.turns s USING muster.tasks t
    WHERE s.task_id = ANY($1::text[]) AND t.task_id = s.task_id
        AND (t.redrive > s.redrive OR t.redrive = s.redrive AND t.finished_at IS NOT NULL)
    RETURNING s.queue"""

QUEUES_OF_TYPES = "SELECT DISTINCT queue FROM muster.turns WHERE task_type = ANY($1::text[])"

# DO UPDATE, not DO NOTHING: it locks the row, so that the leader cannot take a queue before what made it due is there.
ADD_DUE = """
    INSERT INTO muster.turns_due AS d (queue, due_at)
    SELECT queue, now() + make_interval(secs => $2) FROM unnest($1::text[]) AS n (queue) ORDER BY queue
    ON CONFLICT (queue) DO UPDATE SET due_at = least(d.due_at, excluded.due_at)"""

ADD_ALL_DUE = """
    INSERT INTO muster.turns_due AS d (queue, due_at)
    SELECT DISTINCT queue, now() FROM muster.turns ORDER BY queue
    ON CONFLICT (queue) DO UPDATE SET due_at = least(d.due_at, excluded.due_at)"""

MERGE_PAUSE = """
    INSERT INTO muster.pauses AS p (task_type, seq, paused_at, asked_by) VALUES ($1, $2, $3, $4)
    ON CONFLICT (task_type) DO UPDATE
        SET seq = excluded.seq, paused_at = excluded.paused_at, asked_by = excluded.asked_by
        WHERE excluded.seq > p.seq"""

TAKE_DUE = """
    DELETE FROM muster.turns_due WHERE queue IN (
        SELECT queue FROM muster.turns_due WHERE due_at <= now() ORDER BY due_at, queue LIMIT $1 FOR UPDATE SKIP LOCKED)
    RETURNING queue"""

_SEAT = ", ".join(f's."{name}"' for name in SEAT_COLUMNS)
# Decided on without the records themselves, which may be large.
_LIGHT = _SEAT.replace('s."headers", s."body"', "NULL AS headers, NULL AS body")
# seat.is_left of every claim to where the task stands; NULL: nobody claims that.
_VOID = """SELECT bool_and(coalesce(c.sequenced < (s.stage + 1) / 2, false)) FROM muster.claims c
        WHERE c.task_id = t.task_id AND c.rank = t.rank"""
_STANDING = f"""t.rank, t.state = 'STARTED' AND ({_VOID}) IS TRUE AS claims_void, p.paused_at IS NOT NULL AS paused,
    r.task_id IS NOT NULL AS revoked, r.asked_by, coalesce(octet_length(s.body), 0) AS bytes"""
_BESIDE = f"""
    LEFT JOIN muster.tasks t ON t.task_id = s.task_id
    LEFT JOIN muster.pauses p ON p.task_type = s.task_type
    LEFT JOIN muster.revocations r ON {covers("r", "s")}"""

# What waits, first places first; a seat without a place was called, so it is seen by queue_busy.
FIRST_OF_QUEUES = f"""
    SELECT {_LIGHT}, {_STANDING},
        EXISTS (SELECT FROM muster.turns o WHERE o.queue = q.queue AND o.stage % 2 = 1) AS queue_busy
    FROM unnest($1::text[]) AS q (queue)
    CROSS JOIN LATERAL (
        SELECT * FROM muster.turns f WHERE f.queue = q.queue ORDER BY f."offset", f."partition" LIMIT 1) s
    {_BESIDE}
    ORDER BY t.submitted_at, s."offset", s."partition" """  # noqa: S608

TAKEN_BACK = f"""
    SELECT {_LIGHT}, {_STANDING}, false AS queue_busy
    FROM (
        SELECT w.task_id, w.redrive FROM muster.revocations o JOIN muster.turns w ON {covers("o", "w")}
        WHERE w.stage % 2 = 0
        UNION
        SELECT task_id, redrive FROM muster.turns WHERE expires_at <= $1 AND stage % 2 = 0
        LIMIT 1000) AS n
    JOIN muster.turns s USING (task_id, redrive)
    {_BESIDE}"""  # noqa: S608

LOCK_SEATS = """
    SELECT FROM muster.turns JOIN unnest($1::text[], $2::smallint[]) AS n (task_id, redrive) USING (task_id, redrive)
    ORDER BY task_id, redrive FOR UPDATE OF turns"""

# Held against what was decided on; came_at gives way to the record's own time once that is folded.
MARK = f"""
    UPDATE muster.turns AS s SET stage = s.stage + 1, sent = false, came_at = 'infinity'
    FROM unnest($1::text[], $2::smallint[], $3::integer[], $4::bigint[]) AS n (task_id, redrive, stage, highest)
    WHERE s.task_id = n.task_id AND s.redrive = n.redrive AND s.stage = n.stage AND NOT EXISTS (
        SELECT FROM muster.tasks t WHERE t.task_id = s.task_id
            AND (t.rank > n.highest OR t.rank = n.highest AND ({_VOID}) IS NOT TRUE))
    RETURNING s.task_id, s.redrive, s.headers, s.body"""  # noqa: S608

NOTE_SENT = """
    UPDATE muster.turns AS s SET sent = true
    FROM unnest($1::text[], $2::smallint[], $3::integer[]) AS n (task_id, redrive, stage)
    WHERE s.task_id = n.task_id AND s.redrive = n.redrive AND s.stage = n.stage"""

UNSENT = f"""
    SELECT {_SEAT} FROM muster.turns s
    WHERE s.stage % 2 = 1 AND NOT s.sent ORDER BY s."offset", s."partition" LIMIT $1"""  # noqa: S608

UNCLEARED = """
    SELECT task_id, redrive, "left" FROM muster.turns WHERE "left" IS NOT NULL AND stage % 2 = 0
    ORDER BY came_at LIMIT $1"""

CLEAR = """
    UPDATE muster.turns AS s SET "left" = NULL
    FROM (
        SELECT task_id, redrive FROM muster.turns
        JOIN unnest($1::text[], $2::smallint[], $3::text[]) AS n (task_id, redrive, pointer) USING (task_id, redrive)
        WHERE turns."left" = n.pointer ORDER BY task_id, redrive FOR UPDATE OF turns) AS n
    WHERE s.task_id = n.task_id AND s.redrive = n.redrive
    RETURNING s.queue"""
