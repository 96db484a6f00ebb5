"""The SQL by which a folded batch meets what is stored. fold.py has the same rules for facts that meet in memory.

Every statement takes one array per column, so a batch of thousands of rows is one round trip and one plan.
"""

from __future__ import annotations

from collections.abc import Sequence

from tracker_service.projection.rows import TASK_COLUMNS

_TASK_TYPES = {
    "rank": "bigint", "redrive": "smallint", "attempt": "smallint", "delivery": "smallint", "submitter": "bigint",
    "parameters_bytes": "integer",
    **dict.fromkeys(
        ("changed_at", "started_at", "finished_at", "next_attempt_at", "submitted_at", "expires_at"), "timestamptz"
    ),
}  # fmt: skip
#: What the fact of highest rank says, all of it together.
_PRESENT = (
    "task_type", "rank", "changed_at", "state", "redrive", "attempt", "delivery", "worker", "started_at", "finished_at",
    "next_attempt_at", "result", "detail",
)  # fmt: skip
#: Said at the submission: the first that says it is kept.
_SAID = ("service", "lane", "expires_at", "submitter", "root", "parent", "group_id", "parameters", "parameters_bytes")


def _unnest(types: Sequence[str]) -> str:
    return "unnest(" + ", ".join(f"${number}::{name}[]" for number, name in enumerate(types, 1)) + ")"


def _at(row: str) -> str:
    return f"""({row}.changed_at, coalesce({row}.worker, '') COLLATE "C")"""


def _merge_tasks() -> str:
    wins = (
        "(excluded.rank > t.rank OR (excluded.rank = t.rank AND CASE WHEN t.finished_at IS NULL"
        f" THEN {_at('excluded')} > {_at('t')} ELSE {_at('excluded')} < {_at('t')} END))"
    )
    present = [f"{name} = CASE WHEN {wins} THEN excluded.{name} ELSE t.{name} END" for name in _PRESENT]
    said = [f"{name} = coalesce(t.{name}, excluded.{name})" for name in _SAID]
    # Rows come sorted by task_id: two trackers lock them in the same order. A row that would not change is not written.
    return f"""
        INSERT INTO muster.tasks AS t ({", ".join(TASK_COLUMNS)})
        SELECT * FROM {_unnest([_TASK_TYPES.get(name, "text") for name in TASK_COLUMNS])}
        ON CONFLICT (task_id) DO UPDATE SET
            {", ".join([*present, *said])}, submitted_at = least(t.submitted_at, excluded.submitted_at)
        WHERE {wins} OR t.parameters_bytes IS NULL AND excluded.parameters_bytes IS NOT NULL
            OR t.lane IS NULL AND excluded.lane IS NOT NULL OR excluded.submitted_at < t.submitted_at"""  # noqa: S608


MERGE_TASKS = _merge_tasks()

_ENDED = _unnest(["text", "smallint", "smallint", "smallint", "text"])
DELETE_ENDED_CLAIMS = f"""
    DELETE FROM muster.claims AS c USING {_ENDED} AS e (task_id, redrive, attempt, delivery, worker)
    WHERE c.task_id = e.task_id AND c.redrive = e.redrive AND c.attempt = e.attempt AND c.worker = e.worker
        AND e.delivery IN (0, c.delivery)"""  # noqa: S608

# A claim whose end was folded before it (from another topic) stays away.
MERGE_CLAIMS = f"""
    INSERT INTO muster.claims AS c (
        task_id, redrive, attempt, delivery, worker, topic, "partition", "offset", rank, started_at, abandoned, seq,
        sequenced)
    SELECT n.* FROM {
    _unnest(
        [
            "text",
            "smallint",
            "smallint",
            "smallint",
            "text",
            "text",
            "integer",
            "bigint",
            "bigint",
            "timestamptz",
            "boolean",
            "bigint",
            "integer",
        ]
    )
}
        AS n (task_id, redrive, attempt, delivery, worker, topic, "partition", "offset", rank, started_at, abandoned,
              seq, sequenced)
    LEFT JOIN muster.tasks t ON t.task_id = n.task_id AND t.finished_at IS NOT NULL AND t.redrive = n.redrive
        AND t.attempt = n.attempt AND t.delivery = n.delivery AND t.worker = n.worker
    LEFT JOIN muster.attempts a ON a.task_id = n.task_id AND a.redrive = n.redrive AND a.attempt = n.attempt
        AND a.worker = n.worker
    WHERE t.task_id IS NULL AND a.task_id IS NULL
    ON CONFLICT (task_id, redrive, attempt, delivery, worker, topic, "partition", "offset") DO UPDATE
        SET started_at = excluded.started_at, abandoned = excluded.abandoned, seq = excluded.seq, open = true
        WHERE excluded.seq > c.seq"""  # noqa: S608

MERGE_ATTEMPTS = f"""
    INSERT INTO muster.attempts AS a (task_id, redrive, attempt, worker, started_at, ended_at, failure, final)
    SELECT * FROM {_unnest(["text", "smallint", "smallint", "text", "timestamptz", "timestamptz", "text", "boolean"])}
    ON CONFLICT (task_id, redrive, attempt, worker) DO UPDATE
        SET started_at = excluded.started_at, ended_at = excluded.ended_at, failure = excluded.failure,
            final = excluded.final
        WHERE excluded.ended_at < a.ended_at"""  # noqa: S608

# Every record after a hand-back repeats it.
ADD_HAND_BACKS = f"""
    INSERT INTO muster.hand_backs (task_id, redrive, attempt, delivery, worker, at)
    SELECT * FROM {_unnest(["text", "smallint", "smallint", "smallint", "text", "timestamptz"])}
    ON CONFLICT DO NOTHING"""  # noqa: S608

MERGE_ROUNDS = f"""
    INSERT INTO muster.rounds AS o (task_id, redrive, task_type, began_at, parameters, parameters_bytes)
    SELECT * FROM {_unnest(["text", "smallint", "text", "timestamptz", "text", "integer"])}
    ON CONFLICT (task_id, redrive) DO UPDATE SET began_at = excluded.began_at
        WHERE excluded.began_at < o.began_at"""  # noqa: S608

MERGE_PROGRESS = f"""
    INSERT INTO muster.progress AS p (task_id, rank, at, done, total, message)
    SELECT * FROM {_unnest(["text", "bigint", "timestamptz", "float8", "float8", "text"])}
    ON CONFLICT (task_id) DO UPDATE
        SET rank = excluded.rank, at = excluded.at, done = excluded.done, total = excluded.total,
            message = excluded.message
        WHERE (excluded.rank, excluded.at) > (p.rank, p.at)"""  # noqa: S608

# The few rows below come one by one: text[] columns cannot be unnested from an array of arrays.
MERGE_WORKER = """
    INSERT INTO muster.workers AS w (worker, service, seq, at, host, version, slots, running, started_at, rss_bytes,
        leaving, tasks, partitions)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
    ON CONFLICT (worker) DO UPDATE
        SET service = excluded.service, seq = excluded.seq, at = excluded.at, host = excluded.host,
            version = excluded.version, slots = excluded.slots, running = excluded.running,
            started_at = excluded.started_at, rss_bytes = excluded.rss_bytes, leaving = excluded.leaving,
            tasks = excluded.tasks, partitions = excluded.partitions
        WHERE excluded.seq > w.seq"""

MERGE_CATALOG = """
    INSERT INTO muster.catalog AS c (task_type, seq, description) VALUES ($1, $2, $3)
    ON CONFLICT (task_type) DO UPDATE SET seq = excluded.seq, description = excluded.description
        WHERE excluded.seq > c.seq"""

MERGE_REVOCATIONS = f"""
    INSERT INTO muster.revocations AS r (task_id, seq, requested_at, terminate, asked_by, reason, redrive)
    SELECT * FROM {_unnest(["text", "bigint", "timestamptz", "boolean", "bigint", "text", "smallint"])}
    ON CONFLICT (task_id) DO UPDATE
        SET seq = excluded.seq, requested_at = excluded.requested_at, terminate = excluded.terminate,
            asked_by = excluded.asked_by, reason = excluded.reason, redrive = excluded.redrive
        WHERE (excluded.redrive, excluded.seq) > (r.redrive, r.seq)"""  # noqa: S608

MERGE_RULES = f"""
    INSERT INTO muster.revocation_rules AS r (
        rule_id, seq, requested_at, task_type, submitter, state, terminate, asked_by, reason)
    SELECT * FROM {_unnest(["text", "bigint", "timestamptz", "text", "bigint", "text", "boolean", "bigint", "text"])}
    ON CONFLICT (rule_id) DO UPDATE SET seq = excluded.seq, requested_at = excluded.requested_at
        WHERE excluded.seq > r.seq"""  # noqa: S608

ADD_MET = f"""
    INSERT INTO muster.revoked_records (task_id, topic, "partition", "offset", at)
    SELECT * FROM {_unnest(["text", "text", "integer", "bigint", "timestamptz"])} ON CONFLICT DO NOTHING"""  # noqa: S608

# The comparison that keeps two trackers from folding the same records.
ADVANCE_OFFSETS = f"""
    UPDATE muster.offsets AS o SET next_offset = n.next_offset
    FROM {_unnest(["text", "integer", "bigint", "bigint"])} AS n (topic, "partition", expected, next_offset)
    WHERE o.topic = n.topic AND o."partition" = n."partition" AND o.next_offset = n.expected"""  # noqa: S608

ADD_OFFSETS = f"""
    INSERT INTO muster.offsets (topic, "partition", next_offset)
    SELECT * FROM {_unnest(["text", "integer", "bigint"])} ON CONFLICT DO NOTHING"""  # noqa: S608

READ_OFFSETS = f"""
    SELECT o.topic, o."partition", o.next_offset FROM muster.offsets o
    JOIN {_unnest(["text", "integer"])} AS n (topic, "partition") USING (topic, "partition")"""  # noqa: S608
