"""The backend's own ways to import: rows as JSON, a file, and how far either has come. Importing is import's."""

from __future__ import annotations

import base64
from typing import Any, Literal

import msgspec
from fastapi import APIRouter, Request, Response
from muster.contracts.errors import Problem
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from tracker_service.api import examples, import_status
from tracker_service.api.bodies import bounded, problems_of, read_bytes
from tracker_service.api.callers import Caller
from tracker_service.api.context import TheAdmin, TheApi, TheCaller
from tracker_service.api.errors import ApiError, json_response
from tracker_service.api.status import with_freshness
from tracker_service.api.submission import Submission, submit

#: As text inside a record's parameters, both stay below what a record may hold.
MAX_ROWS_BYTES = 20 * 1024 * 1024
MAX_FILE_BYTES = 20 * 1024 * 1024
_FORM_BYTES = 64 * 1024  # what a form may have besides its file
_ACCEPTED = {
    "task_id": examples.ACCEPTED["task_id"], "status": "processing", "message": "2 records will be imported",
    "total_records": 2,
}  # fmt: skip
_ROW = {"student_id": "2026-0001", "first_name": "Ana", "last_name": "Cruz", "company": "Alpha"}

Strategy = Literal["skip", "update", "error"]
router = APIRouter(prefix="/api/import", tags=["import"])


class Rotcmis(BaseModel):
    """Body of POST /import/rotcmis."""

    model_config = ConfigDict(extra="forbid")

    data: list[dict[str, Any]] = Field(min_length=1, description="Rows, in snake_case or camelCase.")
    merge_strategy: Strategy = Field("skip", description="What becomes of a cadet who exists.")
    dry_run: bool = Field(False, description="Write nothing, and say what would happen.")
    async_processing: bool = Field(True, description="Of the backend; every import is a background task here.")


class FileImport(BaseModel):
    """The fields of POST /import/csv beside its file."""

    model_config = ConfigDict(extra="forbid")

    entity_type: Literal["cadets", "grades", "attendance"] = "cadets"
    merge_strategy: Strategy = "skip"
    dry_run: bool = False


class _Rows(msgspec.Struct, forbid_unknown_fields=True):
    """The same as Rotcmis, with rows that are counted and not decoded: that would stop the API for a second."""

    data: list[msgspec.Raw] = msgspec.field(default_factory=list)
    merge_strategy: Strategy = "skip"
    dry_run: bool = False
    async_processing: bool = True


_FORM = {
    "requestBody": {"content": {"multipart/form-data": {"schema": {
        "type": "object", "required": ["file"],
        "properties": {
            "file": {"type": "string", "format": "binary", "description": "CSV or .xlsx, up to 20 MB."},
            **FileImport.model_json_schema()["properties"],
        },
    }}}}
}  # fmt: skip


@router.post(
    "/rotcmis", status_code=202, responses=examples.answers(_ACCEPTED, 400, 403, 413, 422, 503, status=202),
    openapi_extra=examples.body(Rotcmis, {"data": [_ROW, {**_ROW, "student_id": "2026-0002"}]}),
)  # fmt: skip
async def import_rotcmis(api: TheApi, caller: TheAdmin, request: Request) -> Response:
    """Import the cadets of a ROTCMIS export in the background; admins."""
    body = await read_bytes(request, min(MAX_ROWS_BYTES, api.tracker.max_body_bytes))
    try:
        asked = msgspec.json.decode(body or b"{}", type=_Rows)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        reason = str(error) if isinstance(error, msgspec.ValidationError) else "it is no JSON"
        raise ApiError(422, f"the body is not valid: {reason}", [Problem("body", reason)]) from None
    if not asked.data:
        raise ApiError(400, "No data provided")
    count = len(asked.data)
    parameters = {
        # As text: neither this process nor the catalog's schema has to look at every row.
        "json_data": msgspec.json.encode(asked.data).decode(), "user_id": _person(caller),
        "merge_strategy": asked.merge_strategy, "dry_run": asked.dry_run,
    }  # fmt: skip
    task_id, _ = await submit(api, caller, Submission(name="import_rotcmis_data", parameters=parameters))
    return _accepted(task_id, f"{count:,} records will be imported", {"total_records": count})


@router.post(
    "/csv", status_code=202, openapi_extra=_FORM,
    responses=examples.answers({**_ACCEPTED, "entity_type": "cadets"}, 400, 403, 413, 422, 503, status=202),
)  # fmt: skip
async def import_file(api: TheApi, caller: TheAdmin, request: Request) -> Response:
    """Import a CSV file or an Excel workbook of cadets, grades or attendance in the background; admins."""
    form = await _form(request, min(MAX_FILE_BYTES + _FORM_BYTES, api.tracker.max_body_bytes))
    try:
        data, asked = await _file_of(form), _fields_of(form)
    finally:
        await form.close()
    parameters = {**asked.model_dump(), "file": base64.b64encode(data).decode(), "user_id": _person(caller)}
    task_id, _ = await submit(api, caller, Submission(name="import_csv", parameters=parameters))
    return _accepted(task_id, f"the file of {asked.entity_type} will be imported", {"entity_type": asked.entity_type})


@router.get("/status/{task_id}", responses=examples.answers(import_status.EXAMPLE, 404))
async def status_of_import(api: TheApi, caller: TheCaller, task_id: str) -> Response:
    """How far an import has come, in the backend's words; admins, and who started it."""
    return json_response(with_freshness(api, await import_status.read(api, caller, task_id)))


def _person(caller: Caller) -> int:
    """Raises ApiError: an import is somebody's."""
    if caller.user_id is None:
        raise ApiError(400, "an import is made by a person, and this key is nobody: use POST /tasks")
    return caller.user_id


async def _form(request: Request, max_bytes: int) -> FormData:
    """Raises ApiError. The file is kept on disk while it arrives, once it is larger than a megabyte."""
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise ApiError(422, "send the file as multipart/form-data", [Problem("file", "is required", "required")])
    stream = bounded(request, max_bytes)
    try:
        return await MultiPartParser(request.headers, stream, max_files=1, max_fields=10).parse()
    except (MultiPartException, KeyError) as error:
        raise ApiError(422, "the form cannot be read: send one file as multipart/form-data") from error


async def _file_of(form: FormData) -> bytes:
    file = form.get("file")
    if not isinstance(file, UploadFile):
        raise ApiError(400, "No file provided", [Problem("file", "is required", "required")])
    data = await file.read()
    if not data:
        raise ApiError(400, "The file is empty", [Problem("file", "is empty", "required")])
    if len(data) > MAX_FILE_BYTES:
        raise ApiError(413, f"the file is larger than the {MAX_FILE_BYTES:,} bytes that are accepted")
    return data


def _fields_of(form: FormData) -> FileImport:
    fields = {name: value for name, value in form.multi_items() if name != "file"}
    try:
        return FileImport.model_validate(fields)
    except ValidationError as error:
        problems = problems_of(error)
        message = f"the form is not valid: {problems[0].field}: {problems[0].message}"
        raise ApiError(422, message, problems) from None


def _accepted(task_id: str, message: str, facts: dict[str, Any]) -> Response:
    body = {"task_id": task_id, "status": "processing", "message": message, **facts}
    return json_response(body, 202, {"Location": f"/api/import/status/{task_id}"})
