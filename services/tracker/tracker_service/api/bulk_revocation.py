"""POST /tasks/revoke: takes open tasks back by filter: a rule, and an order for each task that is known.

Workers apply the rule to what was on its way when it was asked; the leader makes orders of the rest and withdraws it.
What an order means is contracts/control.py's.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Literal

import asyncpg
from fastapi import APIRouter, Request, Response
from muster.contracts.control import Revocation, RevocationRule, new_rule_id
from muster.contracts.events import encode_json
from muster.contracts.states import TaskState
from muster.observability.logging import get_logger
from pydantic import BaseModel, ConfigDict, Field, model_validator

from tracker_service.api import examples
from tracker_service.api.bodies import read_body
from tracker_service.api.callers import Caller
from tracker_service.api.context import Api, TheAdmin, TheApi
from tracker_service.api.errors import json_response
from tracker_service.projection.scribe import Scribe
from tracker_service.recovery.orders import covers

MAX_ORDER_BYTES = 64 * 1024
#: Tasks ordered back before the answer; the rule takes the others, and those that are on their way.
MAX_TASKS = 10_000
CHUNK = 1000

# The states are written out, so that the index of unfinished tasks serves. Tasks already asked back are passed over.
_OPEN = f"""
    SELECT t.task_id, t.state, t.task_type, t.redrive
    FROM muster.tasks t
    LEFT JOIN muster.revocations r ON {covers("r", "t")}
    WHERE t.state IN ('PENDING', 'STARTED', 'RETRY')
        AND ($1::text IS NULL OR t.task_type = $1)
        AND ($2::bigint IS NULL OR t.submitter = $2)
        AND ($3::text IS NULL OR t.state = $3)
        AND (r.task_id IS NULL OR ($4 AND NOT r.terminate))
    ORDER BY t.submitted_at, t.task_id LIMIT $5"""  # noqa: S608

_log = get_logger(__name__)
router = APIRouter(prefix="/api", tags=["tasks"])


class BulkRevokeRequest(BaseModel):
    """Which open tasks to take back; at least one of task_type, submitter and state."""

    model_config = ConfigDict(extra="forbid")

    task_type: str | None = Field(None, min_length=1, max_length=200)
    submitter: int | None = Field(None, ge=0, le=2**63 - 1, description="users.id")
    state: Literal["PENDING", "STARTED", "RETRY"] | None = None
    terminate: bool = Field(False, description="Also stop what is running.")
    dry_run: bool = Field(True, description="Only count; say false to do it.")

    @model_validator(mode="after")
    def _some_filter(self) -> BulkRevokeRequest:
        if self.task_type is None and self.submitter is None and self.state is None:
            raise ValueError("name at least one of task_type, submitter and state")
        if self.task_type is not None and "\0" in self.task_type:
            raise ValueError("task_type may hold no NUL character")
        return self


_COUNTS: dict[str, Any] = {
    "dry_run": True, "matched": 120, "requested": 0, "by_state": {"PENDING": 117, "RETRY": 3},
    "by_type": {"compress_and_upload_image": 120}, "more": False,
}  # fmt: skip


@router.post(
    "/tasks/revoke", status_code=202, responses=examples.answers(_COUNTS, 403, 413, 422, 503, status=202),
    openapi_extra=examples.body(BulkRevokeRequest, {"task_type": "compress_and_upload_image", "dry_run": True}),
)  # fmt: skip
async def revoke_tasks(api: TheApi, caller: TheAdmin, request: Request) -> Response:
    """Take open tasks back by filter; without `"dry_run": false` only count them. Workers confirm each by REVOKED."""
    asked = await read_body(request, BulkRevokeRequest, MAX_ORDER_BYTES)
    return json_response(await revoke_open(api, caller, asked), 202)


async def revoke_open(api: Api, caller: Caller, asked: BulkRevokeRequest) -> dict[str, Any]:
    """Return when Kafka has every order and its row is written.

    Raises:
        BrokerError, StoreError: some orders may be written; asking once more writes the others.
    """
    if not asked.dry_run:
        await _rule(api, caller, asked)
    found = await api.pool.fetch(_OPEN, asked.task_type, asked.submitter, asked.state, asked.terminate, MAX_TASKS + 1)
    rows = found[:MAX_TASKS]
    if not asked.dry_run:
        for first in range(0, len(rows), CHUNK):
            await _order(api, caller, rows[first : first + CHUNK], terminate=asked.terminate)
        _log.info(
            "Revoked by filter", action="task.revoked_by_filter", by=caller.name, tasks=len(rows),
            task_type=asked.task_type, submitter=asked.submitter, state=asked.state, terminate=asked.terminate,
        )  # fmt: skip
    return {
        "dry_run": asked.dry_run,
        "matched": len(rows),
        "requested": 0 if asked.dry_run else len(rows),
        "by_state": Counter(row["state"] for row in rows),
        "by_type": Counter(row["task_type"] for row in rows),
        "more": len(found) > len(rows),
    }


async def _order(api: Api, caller: Caller, rows: list[asyncpg.Record], *, terminate: bool) -> None:
    now = api.clock.now()
    orders = [
        Revocation(task_id=row["task_id"], at=now, terminate=terminate, by=caller.user_id, redrive=row["redrive"])
        for row in rows
    ]
    scribe = Scribe(api.producer, api.reader, api.store, api.clock)
    await scribe.write(api.topics.control, [(order.key, encode_json(order)) for order in orders])


async def _rule(api: Api, caller: Caller, asked: BulkRevokeRequest) -> None:
    """Written first: what is not in the projection yet is covered by it from here on."""
    rule = RevocationRule(
        rule_id=new_rule_id(), at=api.clock.now(), task_type=asked.task_type, submitter=asked.submitter,
        state=TaskState(asked.state) if asked.state else None, terminate=asked.terminate, by=caller.user_id,
    )  # fmt: skip
    scribe = Scribe(api.producer, api.reader, api.store, api.clock)
    await scribe.write(api.topics.control, [(rule.key, encode_json(rule))])
