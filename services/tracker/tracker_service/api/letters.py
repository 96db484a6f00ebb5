"""The backend's own two ways to have letters read: one by its id, many by their files. Reading is the ocr service's."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from rotc.errors import MissingOcrColumns, UnknownEntity
from rotc.letters import Letter, letter_by_id
from rotc.people import LARGEST_ID, Role, user_by_id

from tracker_service.api import examples
from tracker_service.api.bodies import read_body
from tracker_service.api.callers import Caller
from tracker_service.api.context import Api, TheApi, TheCaller
from tracker_service.api.errors import ApiError, json_response
from tracker_service.api.submission import Submission, submit

MAX_BYTES = 1024 * 1024
_ANY_LETTER = (Role.ADMIN, Role.TRAINING_STAFF)
_QUEUED = {
    "task_id": examples.ACCEPTED["task_id"], "total_documents": 2, "status": "queued",
    "message": "2 documents will be read",
}  # fmt: skip

router = APIRouter(prefix="/api", tags=["letters"])


class Document(BaseModel):
    """One file, and the letter whose text it is."""

    model_config = ConfigDict(extra="forbid")

    file_url: str = Field(min_length=1, max_length=4096)
    excuse_letter_id: Annotated[int, Field(ge=1, le=LARGEST_ID)] | None = None


class Documents(BaseModel):
    """Body of POST /ocr/batch."""

    model_config = ConfigDict(extra="forbid")

    documents: list[Document] = Field(min_length=1, max_length=100)


@router.post(
    "/ocr/batch", status_code=202, responses=examples.answers(_QUEUED, 403, 422, 503, status=202),
    openapi_extra=examples.body(Documents, {"documents": [{"file_url": "https://files.example/1.jpg"}]}),
)  # fmt: skip
async def read_documents(api: TheApi, caller: TheCaller, request: Request) -> Response:
    """Have up to 100 documents read; admins and training staff."""
    documents = (await read_body(request, Documents, MAX_BYTES)).documents
    parameters = {"file_urls_and_ids": [document.model_dump() for document in documents]}
    task_id, _ = await submit(api, caller, Submission(name="batch_process_ocr", parameters=parameters))
    message = f"{len(documents)} documents will be read"
    body = {"task_id": task_id, "total_documents": len(documents), "message": message, "status": "queued"}
    return json_response(body, 202, {"Location": f"/api/tasks/{task_id}/status"})


@router.post("/excuse-letters/{letter_id}/process-ocr", status_code=202)
async def read_letter(api: TheApi, caller: TheCaller, letter_id: int) -> Response:
    """Have the file of an excuse letter read; 200 when that was done before. Cadets: their own letters."""
    letter = await _letter(api, caller, letter_id)
    if letter.processed_at is not None:
        said = {"message": "OCR already processed", "excuse_letter_id": letter.id, "processed_at": letter.processed_at}
        return json_response(said)
    if not letter.file_url:
        raise ApiError(400, "the excuse letter has no file")
    parameters = {"file_url": letter.file_url, "excuse_letter_id": letter.id}
    task_id, _ = await submit(api, caller, Submission(name="process_ocr_document", parameters=parameters))
    body = {"task_id": task_id, "message": "the excuse letter will be read", "excuse_letter_id": letter.id}
    return json_response(body, 202, {"Location": f"/api/tasks/{task_id}/status"})


async def _letter(api: Api, caller: Caller, letter_id: int) -> Letter:
    """The letter, if the caller may see it. Raises ApiError 404, of others' letters too, or 503."""
    missing = ApiError(404, f"no excuse letter has the id {letter_id}")
    async with api.pool.acquire() as connection:
        try:
            letter = await letter_by_id(connection, letter_id)
            if caller.is_admin or caller.user_id is None or caller.role in _ANY_LETTER:
                return letter
            user = await user_by_id(connection, caller.user_id)
        except UnknownEntity:
            raise missing from None
        except MissingOcrColumns as error:
            raise ApiError(503, str(error)) from None
    if user.cadet_id != letter.cadet_id:
        raise missing
    return letter
