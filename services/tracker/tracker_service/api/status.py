"""How a task is shown: the reference document's status body, and the full answer. Reading only."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import asyncpg
import msgspec
from muster.contracts.catalog import TaskDescription
from muster.contracts.states import TERMINAL

from tracker_service.api.callers import Caller
from tracker_service.api.context import Api
from tracker_service.api.errors import ApiError
from tracker_service.recovery.orders import covers

READ_TASK = f"""
    SELECT t.*, r.requested_at AS revoke_requested_at, r.terminate AS revoke_terminate,
        p.done, p.total, p.message AS progress_message, a.failure AS last_failure, a.started_at AS last_started_at,
        w.waiting_for, z.task_type IS NOT NULL AS paused
    FROM muster.tasks t
    LEFT JOIN muster.revocations r ON {covers("r", "t")}
    LEFT JOIN muster.pauses z ON t.state IN ('PENDING', 'RETRY') AND z.task_type = t.task_type
        AND z.paused_at IS NOT NULL
    -- The one in front of it in its queue, while it waits there.
    LEFT JOIN LATERAL (
        SELECT front.task_id AS waiting_for FROM muster.turns own JOIN muster.turns front ON front.queue = own.queue
            AND (front."offset", front."partition") < (own."offset", own."partition")
        WHERE t.state IN ('PENDING', 'RETRY') AND own.task_id = t.task_id AND own.redrive = t.redrive
            AND own.stage % 2 = 0
        ORDER BY front."offset" DESC, front."partition" DESC LIMIT 1) w ON true
    LEFT JOIN muster.progress p ON p.task_id = t.task_id AND p.rank = t.rank
    LEFT JOIN muster.attempts a ON t.state = 'RETRY' AND a.task_id = t.task_id AND a.redrive = t.redrive
        AND a.attempt = t.attempt - 1
    WHERE t.task_id = $1 ORDER BY a.ended_at LIMIT 1"""  # noqa: S608

Body = dict[str, Any]


async def read_task(api: Api, caller: Caller, task_id: str) -> asyncpg.Record:
    """The row of a task that this caller may see.

    Raises:
        ApiError: 404: there is none, or it is somebody else's.
    """
    # What PostgreSQL's text cannot hold is no task's id.
    row = await api.pool.fetchrow(READ_TASK, task_id) if "\0" not in task_id else None
    if row is None or not caller.sees(row["submitter"]):
        raise ApiError(404, f"no task has the id {task_id[:200]}")
    return row


def status_body(row: asyncpg.Record, description: TaskDescription | None) -> Body:
    """The reference document's fields first; `successful` and `failed` are null until the task has ended."""
    state = row["state"]
    ready = state in TERMINAL
    body: Body = {
        "task_id": row["task_id"],
        "status": state,
        "ready": ready,
        "successful": state == "SUCCESS" if ready else None,
        "failed": state == "FAILURE" if ready else None,
    }
    if state == "SUCCESS":
        body["result"] = json_of(row["result"])
    error = error_of(row)
    if error is not None:
        body["error"] = error
    if row["done"] is not None:
        body["progress"] = {"done": row["done"], "total": row["total"], "message": row["progress_message"]}
    body |= {
        "name": row["task_type"],
        "attempt": row["attempt"],
        "max_attempts": description.max_attempts if description else None,
        "submitted_at": row["submitted_at"],
        "started_at": row["started_at"] or row["last_started_at"],
        "finished_at": row["finished_at"],
        "next_attempt_at": row["next_attempt_at"],
        "worker": row["worker"],
        "waiting_for": row["waiting_for"],
        "paused": row["paused"],
        "revoke_requested_at": row["revoke_requested_at"],
    }
    return body


def with_freshness(api: Api, body: Body) -> Body:
    """Up to when the projection is complete, and how long ago that was."""
    body["as_of"] = api.freshness.as_of
    body["lag_ms"] = round(api.freshness.lag_seconds * 1000)
    return body


def unknown_as_pending(task_id: str) -> Body:
    """What Celery says of any id it never heard of."""
    return {"task_id": task_id, "status": "PENDING", "ready": False, "successful": None, "failed": None}


def error_of(row: asyncpg.Record) -> Body | None:
    """Why a task failed, is retried, or was taken back."""
    state = row["state"]
    if state == "FAILURE":
        detail = json_of(row["detail"]) or {}
        return public_failure(detail.get("failure") or {})
    if state == "RETRY" and row["last_failure"]:
        return public_failure(json_of(row["last_failure"]))
    if state == "REVOKED":
        reason = (json_of(row["detail"]) or {}).get("reason", "revoked")
        message = "it was not started in time" if reason == "expired" else "it was revoked"
        return {"kind": reason, "message": message}
    return None


def public_failure(failure: Body) -> Body:
    """A failure without what only operators need."""
    return {name: failure[name] for name in ("kind", "error", "message", "problems") if failure.get(name)}


def json_of(text: str | None) -> Any:
    """Stored JSON; a worker of another make may have written something else, which is shown as text."""
    if text is None:
        return None
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return text


def event(at: datetime | None, what: str, **facts: Any) -> Body:
    return {"at": at, "event": what, **{name: fact for name, fact in facts.items() if fact is not None}}
