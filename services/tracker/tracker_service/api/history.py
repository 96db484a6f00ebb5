"""Everything about one task: its attempts, its timeline, its children. How its state is shown is status.py's."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import asyncpg

from tracker_service.api.callers import Caller
from tracker_service.api.context import Api
from tracker_service.api.status import Body, error_of, event, json_of, public_failure, status_body

_ATTEMPTS = "SELECT * FROM muster.attempts WHERE task_id = $1 ORDER BY redrive, attempt"
_CLAIMS = "SELECT * FROM muster.claims WHERE task_id = $1 ORDER BY started_at"
_HAND_BACKS = "SELECT redrive, attempt, delivery, worker, at FROM muster.hand_backs WHERE task_id = $1"
_CHILDREN = "SELECT task_id, task_type, state FROM muster.tasks WHERE parent = $1 ORDER BY submitted_at LIMIT 200"
#: Redrive, attempt, delivery, worker.
Run = tuple[int, int, int, str]
_ROUNDS = "SELECT * FROM muster.rounds WHERE task_id = $1 ORDER BY redrive"
_EARLIEST = datetime.min.replace(tzinfo=UTC)


async def full_body(api: Api, caller: Caller, row: asyncpg.Record) -> Body:
    """The status body and all that is known beside it. Tracebacks are for admins."""
    task_id = row["task_id"]
    failed = await api.pool.fetch(_ATTEMPTS, task_id)
    claims = await api.pool.fetch(_CLAIMS, task_id)
    returned = {_run_of(back): back["at"] for back in await api.pool.fetch(_HAND_BACKS, task_id)}
    children = await api.pool.fetch(_CHILDREN, task_id)
    rounds = await api.pool.fetch(_ROUNDS, task_id)
    latest = rounds[-1] if rounds else row
    body = status_body(row, await api.catalog.find(row["task_type"]))
    body |= {
        "service": row["service"],
        "lane": row["lane"],
        "delivery": row["delivery"],
        "redrive": row["redrive"],
        "submitter": row["submitter"],
        "expires_at": row["expires_at"],
        "parameters": json_of(latest["parameters"]),
        "parameters_bytes": latest["parameters_bytes"],
        "rounds": _rounds(row, rounds),
        "attempts": _attempts(row, failed, claims, returned),
        "timeline": _timeline(row, failed, claims, returned),
        "children": [{"task_id": c["task_id"], "name": c["task_type"], "status": c["state"]} for c in children],
        "root": row["root"],
        "parent": row["parent"],
        "group": row["group_id"],
        "links": {"self": f"/api/tasks/{task_id}", "status": f"/api/tasks/{task_id}/status"},
    }
    if caller.is_admin and row["state"] == "FAILURE":
        detail = json_of(row["detail"]) or {}
        body["traceback"] = detail.get("traceback") or None
        body["dead_letter"] = detail.get("dead_letter")
    return body


def _run_of(row: asyncpg.Record) -> Run:
    return row["redrive"], row["attempt"], row["delivery"], row["worker"]


def _attempts(
    row: asyncpg.Record, failed: list[asyncpg.Record], claims: list[asyncpg.Record], returned: dict[Run, datetime]
) -> list[Body]:
    """Each run of the task: ended ones, those that were lost or given back, and the one under way."""
    runs: list[Body] = [
        {
            "attempt": a["attempt"], "delivery": None, "worker": a["worker"] or None, "started_at": a["started_at"],
            "ended_at": a["ended_at"], "outcome": "FAILURE" if a["final"] else "RETRY",
            "error": public_failure(json_of(a["failure"])),
        }
        for a in failed
        if not _is_its_end(a, row)
    ]  # fmt: skip
    for claim in claims:
        ended_at = returned.get(_run_of(claim))
        runs.append(_run(claim, ended_at=ended_at, outcome=_outcome(row, claim, ended_at), error=None))
    if row["finished_at"] is not None:
        runs.append(_run(row, ended_at=row["finished_at"], outcome=row["state"], error=error_of(row)))
    return sorted(runs, key=lambda run: (run["attempt"], run["started_at"] or run["ended_at"] or _EARLIEST))


def _outcome(row: asyncpg.Record, claim: asyncpg.Record, returned_at: datetime | None) -> str | None:
    """How a run ended that its own worker has told no end of; None while it is under way."""
    if returned_at is not None:
        return "HANDED_BACK"
    if claim["abandoned"]:
        return "ABANDONED"
    return None if claim["rank"] == row["rank"] else "LOST"


def _is_its_end(attempt: asyncpg.Record, row: asyncpg.Record) -> bool:
    """The dead letter in which the task stands; its row tells the same."""
    same = all(attempt[name] == row[name] for name in ("redrive", "attempt")) and attempt["worker"] == row["worker"]
    return same and attempt["final"] and row["state"] == "FAILURE"


def _rounds(row: asyncpg.Record, redriven: list[asyncpg.Record]) -> list[Body]:
    """What each round ran with; the first was the submission."""
    first = {"redrive": 0, "began_at": row["submitted_at"], "parameters": json_of(row["parameters"])}
    later = [
        {"redrive": r["redrive"], "began_at": r["began_at"], "parameters": json_of(r["parameters"]),
         "name": r["task_type"]}
        for r in redriven
    ]  # fmt: skip
    return [first, *later] if later else []


def _run(row: asyncpg.Record, *, ended_at: Any, outcome: str | None, error: Any) -> Body:
    run = {name: row[name] for name in ("attempt", "delivery", "worker", "started_at")}
    return {**run, "ended_at": ended_at, "outcome": outcome, "error": error}


def _timeline(
    row: asyncpg.Record, failed: list[asyncpg.Record], claims: list[asyncpg.Record], returned: dict[Run, datetime]
) -> list[Body]:
    events = [event(row["submitted_at"], "submitted")]
    for attempt in failed:
        events.append(event(attempt["started_at"], "started", attempt=attempt["attempt"], worker=attempt["worker"]))
        events.append(event(attempt["ended_at"], "failed, to be retried", attempt=attempt["attempt"]))
    for claim in claims:
        events.append(event(claim["started_at"], "started", attempt=claim["attempt"], worker=claim["worker"]))
    for (_, number, _, worker), at in returned.items():
        events.append(event(at, "handed back", attempt=number, worker=worker))
    if row["finished_at"] is not None:
        events.append(event(row["started_at"], "started", attempt=row["attempt"], worker=row["worker"]))
        events.append(event(row["finished_at"], row["state"].lower(), attempt=row["attempt"]))
    if row["revoke_requested_at"] is not None:
        events.append(event(row["revoke_requested_at"], "revocation requested"))
    if row["next_attempt_at"] is not None:
        events.append(event(row["next_attempt_at"], "due"))
    return sorted((e for e in events if e["at"] is not None), key=lambda e: e["at"])
