"""Reads request bodies: bounded while they arrive, whatever content type they claim. Meaning is their model's."""

from __future__ import annotations

from typing import TypeVar

from fastapi import Request
from muster.contracts.errors import Problem
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from tracker_service.api.errors import ApiError

Body = TypeVar("Body", bound=BaseModel)


async def read_body(request: Request, model: type[Body], max_bytes: int) -> Body:
    """The JSON body of a request as `model`; an empty one counts as `{}`.

    Raises:
        ApiError: 413 or 422.
    """
    declared = request.headers.get("content-length", "")
    too_large = ApiError(413, f"the body is larger than the {max_bytes:,} bytes that are accepted")
    if declared.isascii() and declared.isdigit() and int(declared[:20]) > max_bytes:
        raise too_large
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > max_bytes:
            raise too_large
    try:
        return model.model_validate_json(bytes(body) or b"{}")
    except ValidationError as error:
        problems = [_problem(fault) for fault in error.errors(include_url=False, include_input=False)[:50]]
        first = problems[0]
        raise ApiError(422, f"the body is not valid: {first.field}: {first.message}", problems) from None


def _problem(fault: ErrorDetails) -> Problem:
    where = ".".join(str(step) for step in fault["loc"]) or "body"
    return Problem(where, fault["msg"].removeprefix("Value error, "), fault["type"])
