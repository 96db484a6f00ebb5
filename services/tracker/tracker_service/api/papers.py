"""The backend's own two ways to have many papers made: profiles, certificates. Making them is the reports service's."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from rotc.people import LARGEST_ID

from tracker_service.api import examples
from tracker_service.api.bodies import read_body
from tracker_service.api.callers import Caller
from tracker_service.api.context import Api, TheApi, TheCaller
from tracker_service.api.errors import ApiError, json_response
from tracker_service.api.submission import Submission, submit

MAX_BYTES = 256 * 1024
MAX_BATCH = 100
_QUEUED = {
    "task_id": examples.ACCEPTED["task_id"], "message": "2 cadet profiles will be made", "cadet_count": 2,
}  # fmt: skip

Id = Annotated[int, Field(ge=1, le=LARGEST_ID)]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=255)]

router = APIRouter(prefix="/api/reports/batch", tags=["reports"])


class Cadets(BaseModel):
    """Body of POST /reports/batch/cadets."""

    model_config = ConfigDict(extra="forbid")

    cadet_ids: list[Id] = Field(min_length=1, max_length=MAX_BATCH)


class Certificates(BaseModel):
    """Body of POST /reports/batch/certificates."""

    model_config = ConfigDict(extra="forbid")

    activity_id: Id
    cadet_names: list[Name] = Field(min_length=1, max_length=MAX_BATCH)


@router.post(
    "/cadets", status_code=202, responses=examples.answers(_QUEUED, 400, 403, 422, 503, status=202),
    openapi_extra=examples.body(Cadets, {"cadet_ids": [1, 2]}),
)  # fmt: skip
async def make_profiles(api: TheApi, caller: TheCaller, request: Request) -> Response:
    """Have the profiles of up to 100 cadets made; admins and training staff."""
    asked = await read_body(request, Cadets, MAX_BYTES)
    count = len(asked.cadet_ids)
    task_id = await _submit(api, caller, "batch_generate_cadet_pdfs", asked.model_dump())
    return _queued(task_id, f"{count} cadet profiles will be made", {"cadet_count": count})


@router.post("/certificates", status_code=202)
async def make_certificates(api: TheApi, caller: TheCaller, request: Request) -> Response:
    """Have up to 100 certificates of one activity made; admins and training staff."""
    asked = await read_body(request, Certificates, MAX_BYTES)
    count = len(asked.cadet_names)
    task_id = await _submit(api, caller, "batch_generate_certificates", asked.model_dump())
    return _queued(task_id, f"{count} certificates will be made", {"certificate_count": count})


async def _submit(api: Api, caller: Caller, name: str, parameters: dict[str, Any]) -> str:
    """The task's id. Raises ApiError."""
    if caller.user_id is None:
        raise ApiError(400, "the papers go to the person who asks, and this key is nobody: use POST /tasks")
    task_id, _ = await submit(api, caller, Submission(name=name, parameters=parameters | {"user_id": caller.user_id}))
    return task_id


def _queued(task_id: str, message: str, count: dict[str, int]) -> Response:
    body = {"task_id": task_id, "message": message, **count}
    return json_response(body, 202, {"Location": f"/api/tasks/{task_id}/status"})
