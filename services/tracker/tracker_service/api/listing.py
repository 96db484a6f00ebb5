"""GET /tasks: filters, and pages by cursor. How one task is shown is status.py's."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Any

import msgspec
from muster.contracts.errors import UNREADABLE
from muster.contracts.states import TaskState

from tracker_service.api.callers import Caller
from tracker_service.api.context import Api
from tracker_service.api.errors import ApiError

MAX_PAGE = 200
#: Facets are counted up to this many rows, so that a search costs the same with a million tasks stored.
MAX_COUNTED = 10_000

_COLUMNS = """task_id, task_type AS name, state AS status, service, lane, attempt, worker, submitter, submitted_at,
    started_at, finished_at, next_attempt_at"""


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """What a page of tasks is chosen by; None: everything."""

    state: TaskState | None = None
    name: str | None = None
    service: str | None = None
    submitter: int | None = None
    worker: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def where(self) -> tuple[list[str], list[Any]]:
        """SQL conditions and their arguments."""
        pairs = (
            ("state = ${}", self.state and self.state.value), ("task_type = ${}", self.name),
            ("service = ${}", self.service), ("submitter = ${}", self.submitter), ("worker = ${}", self.worker),
            ("submitted_at >= ${}", self.since), ("submitted_at < ${}", self.until),
        )  # fmt: skip
        given = [(text, value) for text, value in pairs if value is not None]
        return [text.format(number) for number, (text, _) in enumerate(given, 1)], [value for _, value in given]


class Cursor(msgspec.Struct, frozen=True, array_like=True):
    """The last task of a page."""

    submitted_at: datetime
    task_id: str

    def encode(self) -> str:
        return base64.urlsafe_b64encode(msgspec.json.encode(self)).decode()


def parse_cursor(text: str) -> Cursor:
    """Where the next page begins.

    Raises:
        ApiError: 400: no page of ours ended there.
    """
    try:
        cursor = msgspec.json.decode(base64.urlsafe_b64decode(text.encode()), type=Cursor)
    except (ValueError, *UNREADABLE) as error:
        raise ApiError(400, "the cursor is not one that an earlier page gave") from error
    if cursor.submitted_at.tzinfo is None or "\0" in cursor.task_id:
        raise ApiError(400, "the cursor is not one that an earlier page gave")
    return cursor


async def list_tasks(api: Api, caller: Caller, chosen: Filter, cursor: str | None, limit: int) -> dict[str, Any]:
    """One page, newest first, and how many tasks of each state the filter finds."""
    if not caller.reads_all:
        if caller.user_id is None:
            raise ApiError(403, "this API key lacks the scope read")
        chosen = msgspec.structs.replace(chosen, submitter=caller.user_id)
    conditions, arguments = chosen.where()
    facets = await _facets(api, ["submitted_at IS NOT NULL", *conditions], arguments)
    if cursor is not None:
        last = parse_cursor(cursor)
        first = len(arguments) + 1
        conditions.append(f"(submitted_at, task_id) < (${first}, ${first + 1})")
        arguments += [last.submitted_at, last.task_id]
    sql = f"""
        SELECT {_COLUMNS} FROM muster.tasks WHERE {" AND ".join(["submitted_at IS NOT NULL", *conditions])}
        ORDER BY submitted_at DESC, task_id DESC LIMIT {limit + 1:d}"""  # noqa: S608  conditions are ours, values are arguments
    rows = [dict(row) for row in await api.pool.fetch(sql, *arguments)]
    page = rows[:limit]
    following = Cursor(page[-1]["submitted_at"], page[-1]["task_id"]).encode() if len(rows) > limit else None
    return {"tasks": page, "next_cursor": following, "facets": facets}


async def _facets(api: Api, conditions: list[str], arguments: list[Any]) -> dict[str, Any]:
    sql = f"""
        SELECT state, count(*) AS number FROM (
            SELECT state FROM muster.tasks WHERE {" AND ".join(conditions)} LIMIT {MAX_COUNTED}
        ) AS found GROUP BY state"""  # noqa: S608  conditions are ours, values are arguments
    counts = {row["state"]: row["number"] for row in await api.pool.fetch(sql, *arguments)}
    return {"state": counts, "complete": sum(counts.values()) < MAX_COUNTED}
