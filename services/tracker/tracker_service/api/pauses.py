"""/task-types: which task types are paused; pausing and resuming one. Holding their tasks is the waiting room's."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from muster.contracts.envelope import TaskRecord, parse_task
from muster.contracts.errors import InvalidRecord, Problem
from muster.contracts.events import encode_json
from muster.contracts.pauses import Pause, pause_key
from muster.observability.logging import get_logger
from muster.ports import Record
from pydantic import BaseModel, ConfigDict, Field

from tracker_service.api import examples
from tracker_service.api.bodies import read_body
from tracker_service.api.callers import Caller
from tracker_service.api.context import Api, TheAdmin, TheApi
from tracker_service.api.errors import ApiError, json_response
from tracker_service.projection.fold import Fold

MAX_ORDER_BYTES = 64 * 1024

_READ = """
    SELECT coalesce(p.task_type, c.task_type) AS task_type, p.paused_at, p.asked_by,
        c.task_type IS NOT NULL AS announced
    FROM (SELECT * FROM muster.pauses WHERE paused_at IS NOT NULL) p
    FULL JOIN (SELECT task_type FROM muster.catalog WHERE description IS NOT NULL) c USING (task_type)
    ORDER BY 1"""

_log = get_logger(__name__)
router = APIRouter(prefix="/api/task-types", tags=["tasks"])


class PauseRequest(BaseModel):
    """How to pause a task type."""

    model_config = ConfigDict(extra="forbid")

    force: bool = Field(False, description="Also a type that no worker has announced.")


_PAUSED: dict[str, Any] = {"task_type": "ocr_excuse_letter", "paused": True}
_LISTED: dict[str, Any] = {
    "task_types": [
        {
            "task_type": "ocr_excuse_letter", "paused": True, "paused_at": "2026-11-23T08:00:00Z", "paused_by": 1,
            "announced": True,
        }
    ]
}  # fmt: skip


@router.get("", responses=examples.answers(_LISTED, 403))
async def task_types(api: TheApi, caller: TheAdmin) -> Response:
    """Every task type that was announced or is paused."""
    rows = await api.pool.fetch(_READ)
    listed = [
        {
            "task_type": row["task_type"], "paused": row["paused_at"] is not None, "paused_at": row["paused_at"],
            "paused_by": row["asked_by"], "announced": row["announced"],
        }
        for row in rows
    ]  # fmt: skip
    return json_response({"task_types": listed})


@router.post(
    "/{task_type}/pause", status_code=202, responses=examples.answers(_PAUSED, 403, 404, 422, 503, status=202),
    openapi_extra=examples.body(PauseRequest, {"force": False}),
)  # fmt: skip
async def pause(api: TheApi, caller: TheAdmin, task_type: str, request: Request) -> Response:
    """Start no task of this type until it is resumed; what runs goes on."""
    asked = await read_body(request, PauseRequest, MAX_ORDER_BYTES)
    await _check(api, task_type, announced=not asked.force)
    await _order(api, caller, task_type, Pause(pauses=task_type, at=api.clock.now(), by=caller.user_id))
    return json_response({"task_type": task_type, "paused": True}, 202)


@router.post(
    "/{task_type}/resume", status_code=202,
    responses=examples.answers({**_PAUSED, "paused": False}, 403, 404, 422, 503, status=202),
)  # fmt: skip
async def resume(api: TheApi, caller: TheAdmin, task_type: str) -> Response:
    """Start tasks of this type again, those that wait in their order. 404: it is neither announced nor paused."""
    held = await api.pool.fetchval("SELECT 1 FROM muster.pauses WHERE task_type = $1", task_type.replace("\0", ""))
    await _check(api, task_type, announced=held is None)
    await _order(api, caller, task_type, None)
    return json_response({"task_type": task_type, "paused": False}, 202)


async def _check(api: Api, task_type: str, *, announced: bool) -> None:
    """Raises ApiError: 422: it can be no task type; 404: none that was announced, when that is asked for."""
    try:
        parse_task(TaskRecord(task_id="id", task_type=task_type, body=b"").headers(), None)
    except InvalidRecord as error:
        raise ApiError(422, str(error), [Problem("task_type", str(error))]) from None
    if announced and await api.catalog.find(task_type) is None:
        raise ApiError(404, f"no worker has announced a task type {task_type}: see GET /api/task-types, or force it")


async def _order(api: Api, caller: Caller, task_type: str, order: Pause | None) -> None:
    """Return when Kafka has the order and the next read sees it."""
    value, key = encode_json(order) if order else None, pause_key(task_type)
    written = await (await api.producer.send(api.topics.control, value, key=key))
    fold = Fold()
    api.reader.read(Record(*written, int(api.clock.now().timestamp() * 1000), key, value, ()), fold)
    await api.store.write(fold, {})
    action = "task_type.paused" if order else "task_type.resumed"
    _log.info(
        "Paused a task type" if order else "Resumed a task type", action=action, task_type=task_type, by=caller.name
    )
