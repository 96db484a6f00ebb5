"""The routes under /api/dead-letters. Finding failed tasks is failed.py's, running them again redriving.py's."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from tracker_service.api import examples
from tracker_service.api.bodies import read_body
from tracker_service.api.context import TheAdmin, TheApi
from tracker_service.api.errors import json_response
from tracker_service.api.failed import MAX_PAGE, LetterFilter, group, page
from tracker_service.api.redriving import RedriveRequest, redrive_letters
from tracker_service.api.status import with_freshness

MAX_ORDER_BYTES = 1024 * 1024

_CAUSE: dict[str, Any] = {
    "task_type": "compress_and_upload_image", "fingerprint": "56b6fe338ba929ae", "kind": "permanent",
    "error": "UnsupportedType", "message": "The file is of no known type.",
}  # fmt: skip
_LETTER: dict[str, Any] = {
    "task_id": "0b9c7c1e-5d0f-4c1e-9d6b-0e5a7c1f2b3d", "service": "media", "lane": "default", "redrive": 0,
    "submitter": 7, "submitted_at": "2026-11-23T08:00:00Z", "attempts": 1, "failed_at": "2026-11-23T08:00:01Z",
    **_CAUSE, "dead_letter": {"topic": "tasks.dead-letter", "partition": 2, "offset": 41},
}  # fmt: skip
_GROUP = _CAUSE | {
    "count": 12, "first_at": "2026-11-23T08:00:01Z", "last_at": "2026-11-23T08:05:00Z", "example": _LETTER["task_id"],
}  # fmt: skip
_ORDER = {"filter": {"fingerprint": "56b6fe338ba929ae"}, "dry_run": True, "parameters": {"quality": 80}}
_REFUSAL = {"task_id": _LETTER["task_id"], "outcome": "refused", "reason": "it failed after 3 redrives"}
_DONE = {"dry_run": True, "redriven": 11, "skipped": 0, "refused": 1, "problems": [_REFUSAL], "more": False}

router = APIRouter(prefix="/api/dead-letters", tags=["dead letters"])


class LetterPage(LetterFilter):
    """A filter, and where to go on."""

    cursor: str | None = None
    limit: int = Field(50, ge=1, le=MAX_PAGE)


@router.get("", responses=examples.answers({"dead_letters": [_LETTER], "next_cursor": None}, 400, 403, 422))
async def dead_letters(api: TheApi, caller: TheAdmin, asked: Annotated[LetterPage, Query()]) -> Response:
    """Tasks in FAILURE, the latest submitted first. A page may be short while `next_cursor` leads on."""
    return json_response(with_freshness(api, await page(api, asked, asked.cursor, asked.limit)))


@router.get("/groups", responses=examples.answers({"groups": [_GROUP], "complete": True}, 403, 422))
async def dead_letter_groups(api: TheApi, caller: TheAdmin, asked: Annotated[LetterFilter, Query()]) -> Response:
    """Tasks in FAILURE by cause: how many, first and last, and one of them."""
    return json_response(with_freshness(api, await group(api, asked)))


@router.post(
    "/redrive", status_code=202, responses=examples.answers(_DONE, 403, 409, 413, 422, 503, status=202),
    openapi_extra=examples.body(RedriveRequest, _ORDER),
)  # fmt: skip
async def redrive_dead_letters(api: TheApi, caller: TheAdmin, request: Request) -> Response:
    """Run failed tasks again under the same ids, as their next round, in the lanes they came from."""
    asked = await read_body(request, RedriveRequest, MAX_ORDER_BYTES)
    return json_response(await redrive_letters(api, caller, asked), 202)
