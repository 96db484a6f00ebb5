"""An import as the backend's own status shows it: processing, completed or failed, and a percentage. Reading only."""

from __future__ import annotations

from typing import Any

import asyncpg

from tracker_service.api import examples
from tracker_service.api.callers import Caller
from tracker_service.api.context import Api
from tracker_service.api.errors import ApiError
from tracker_service.api.status import Body, error_of, json_of, read_task

_IMPORTS = frozenset({"import_rotcmis_data", "import_csv", "bulk_update_cadets"})
_ENDED = {"SUCCESS": "completed", "FAILURE": "failed", "REVOKED": "failed"}
EXAMPLE: dict[str, Any] = {
    "task_id": examples.ACCEPTED["task_id"], "status": "completed", "progress": 100, "total": 1000,
    "success_count": 990, "error_count": 10, "total_processed": 1000, "created_count": 980, "updated_count": 10,
    "skipped_count": 0, "warnings": [], "created_ids": [1], "updated_ids": [2],
    "errors": [{"row": 7, "field": "email", "code": "not_an_email", "message": "is no mail address"}],
}  # fmt: skip


async def read(api: Api, caller: Caller, task_id: str) -> Body:
    """Raises ApiError 404: there is no such import, or it is somebody else's."""
    missing = ApiError(404, "Task not found or expired")
    try:
        row = await read_task(api, caller, task_id)
    except ApiError:
        raise missing from None
    if row["task_type"] not in _IMPORTS:
        raise missing
    return body_of(row)


def body_of(row: asyncpg.Record) -> Body:
    """The result's own members once there is one; the counts are 0 until then, for nothing is written before."""
    status = _ENDED.get(row["state"], "processing")
    body: Body = {
        "task_id": row["task_id"], "status": status, "progress": _percent(row, status), "total": row["total"],
        "success_count": 0, "error_count": 0, "total_processed": 0,
    }  # fmt: skip
    if row["progress_message"] and status == "processing":
        body["message"] = row["progress_message"]
    result = json_of(row["result"]) if status == "completed" else None
    if isinstance(result, dict):
        body |= result
        body["total_processed"] = result.get("total")
    failure = error_of(row)
    if failure is not None:
        # A sentence, as the backend had it; the rest beside it.
        body |= {"error": failure.get("message"), "failure": failure}
    return body


def _percent(row: asyncpg.Record, status: str) -> int:
    if status == "completed":
        return 100
    done, total = row["done"], row["total"]
    # A task that is not over is not at 100 %: what it tells are rows read, and it has still to write them.
    return min(99, int(100 * done / total)) if done and total else 0
