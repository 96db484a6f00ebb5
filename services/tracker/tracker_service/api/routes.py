"""The routes under /api: who may ask what, and which part answers."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from muster.contracts.states import TERMINAL, TaskState
from muster.contracts.trace_context import read_traceparent

from tracker_service.api import examples
from tracker_service.api.bodies import read_body
from tracker_service.api.context import TheAdmin, TheApi, TheCaller
from tracker_service.api.errors import ApiError, json_response
from tracker_service.api.health import health_body, live_workers, public_body
from tracker_service.api.history import full_body
from tracker_service.api.listing import MAX_PAGE, Filter, list_tasks
from tracker_service.api.revocation import RevokeRequest, revoke
from tracker_service.api.stats import Stats
from tracker_service.api.status import read_task, status_body, unknown_as_pending, with_freshness
from tracker_service.api.submission import Submission, submit

MAX_WAIT_SECONDS = 60.0
MAX_ORDER_BYTES = 64 * 1024

router = APIRouter(prefix="/api")

Instant = Annotated[datetime | None, Query(description="RFC 3339, with its offset")]


@router.get("/tasks/{task_id}/status", tags=["tasks"], responses=examples.answers(examples.STATUS, 404))
async def task_status(
    api: TheApi, caller: TheCaller, task_id: str, compat: Annotated[Literal["celery"] | None, Query()] = None
) -> Response:
    """Where a task stands. An unknown id is 404; `?compat=celery` says PENDING instead, as Celery does."""
    try:
        row = await read_task(api, caller, task_id)
    except ApiError:
        if compat == "celery":
            return json_response(with_freshness(api, unknown_as_pending(task_id)))
        raise
    return json_response(with_freshness(api, status_body(row, await api.catalog.find(row["task_type"]))))


@router.get("/tasks/{task_id}", tags=["tasks"], responses=examples.answers(examples.STATUS, 404))
async def task_details(
    api: TheApi,
    caller: TheCaller,
    task_id: str,
    wait: Annotated[float, Query(ge=0, le=MAX_WAIT_SECONDS, description="Seconds to wait for its end")] = 0,
) -> Response:
    """Everything about a task: attempts, timeline, children, links."""
    row = await read_task(api, caller, task_id)
    if wait and row["state"] not in TERMINAL:
        await api.waiting.ended(task_id, wait)
        row = await read_task(api, caller, task_id)
    return json_response(with_freshness(api, await full_body(api, caller, row)))


@router.get("/tasks", tags=["tasks"], responses=examples.answers({"tasks": [], "next_cursor": None}, 400))
async def tasks(
    api: TheApi,
    caller: TheCaller,
    state: TaskState | None = None,
    name: str | None = None,
    service: str | None = None,
    submitter: Annotated[int | None, Query(ge=0, le=2**63 - 1)] = None,
    worker: str | None = None,
    since: Instant = None,
    until: Instant = None,
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 50,
) -> Response:
    """Tasks, newest first: all of them for admins, their own for others."""
    chosen = Filter(
        state=state, name=_text(name), service=_text(service), submitter=submitter, worker=_text(worker),
        since=_aware("since", since), until=_aware("until", until),
    )  # fmt: skip
    return json_response(with_freshness(api, await list_tasks(api, caller, chosen, cursor, limit)))


@router.post(
    "/tasks",
    tags=["tasks"],
    status_code=202,
    responses=examples.answers(examples.ACCEPTED, 403, 413, 422, 503, status=202),
    openapi_extra=examples.body(Submission, examples.SUBMISSION),
)
async def submit_task(api: TheApi, caller: TheCaller, request: Request) -> Response:
    """Submit a task. It is in Kafka, and visible to the next read, before the answer is sent."""
    submission = await read_body(request, Submission, api.tracker.max_body_bytes)
    if submission.idempotency_key is None and (key := request.headers.get("idempotency-key", "")[:200]):
        submission = submission.model_copy(update={"idempotency_key": key})
    traceparent = read_traceparent("traceparent", request.headers.get("traceparent", "").encode())
    task_id, created = await submit(api, caller, submission, traceparent)
    url = f"/api/tasks/{task_id}/status"
    headers = {"Location": url} | ({} if created else {"Idempotent-Replayed": "true"})
    return json_response({"task_id": task_id, "status": "PENDING", "status_url": url}, 202, headers)


@router.post(
    "/tasks/{task_id}/revoke", tags=["tasks"], status_code=202,
    responses=examples.answers(examples.REVOKED, 403, 404, 409, status=202),
    openapi_extra=examples.body(RevokeRequest, {"terminate": False}),
)  # fmt: skip
async def revoke_task(api: TheApi, caller: TheAdmin, task_id: str, request: Request) -> Response:
    """Take a task back. The state changes when a worker has confirmed it."""
    order = await read_body(request, RevokeRequest, MAX_ORDER_BYTES)
    await revoke(api, caller, await read_task(api, caller, task_id), terminate=order.terminate)
    body = {"message": "revocation requested", "task_id": task_id, "terminated": order.terminate}
    return json_response(body, 202)


@router.get("/celery/health", tags=["operations"], responses=examples.answers(examples.HEALTH, 403, 503))
async def celery_health(api: TheApi, caller: TheAdmin) -> Response:
    """Workers, broker, database and projection; 503 when one of them is not well."""
    body, well = await health_body(api)
    return json_response(body, 200 if well else 503)


@router.get("/health", tags=["operations"], responses={503: {"description": "Database or Kafka do not answer"}})
async def health(api: TheApi, request: Request) -> Response:
    """Public and short."""
    api.limit.count(request.client.host if request.client else "unknown")
    body, serving = await public_body(api)
    return json_response(body, 200 if serving else 503)


@router.get("/celery/stats", tags=["operations"], responses=examples.answers(examples.STATS, 403))
async def celery_stats(api: TheApi, caller: TheAdmin, request: Request) -> Response:
    """Counts, run times and waits of the last 24 hours."""
    stats: Stats = request.app.state.stats
    return json_response(with_freshness(api, dict(await stats.read(api))))


@router.get("/workers", tags=["operations"], responses=examples.answers({"workers": []}, 403))
async def workers(api: TheApi, caller: TheAdmin) -> Response:
    """Workers whose heartbeat is fresh, with slots and running tasks."""
    return json_response(with_freshness(api, {"workers": await live_workers(api)}))


@router.get("/catalog", tags=["tasks"], responses=examples.answers({"task_types": []}))
async def catalog(api: TheApi, caller: TheCaller) -> Response:
    """What can be submitted, with the JSON Schema of its parameters."""
    return json_response({"task_types": await api.catalog.all()})


def _text(value: str | None) -> str | None:
    if value is not None and "\0" in value:
        raise ApiError(400, "a filter holds a NUL character")
    return value


def _aware(name: str, instant: datetime | None) -> datetime | None:
    if instant is not None and instant.tzinfo is None:
        problem: Any = f"{name} must name its offset, such as 2026-11-23T08:00:00Z (in a URL, + is written %2B)"
        raise ApiError(400, problem)
    return instant
