"""Reads request bodies: bounded while they arrive, whatever content type they claim. Meaning is their model's."""

from __future__ import annotations

from collections.abc import AsyncGenerator
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
    body = await read_bytes(request, max_bytes)
    try:
        return model.model_validate_json(body or b"{}")
    except ValidationError as error:
        problems = problems_of(error)
        first = problems[0]
        raise ApiError(422, f"the body is not valid: {first.field}: {first.message}", problems) from None


def problems_of(error: ValidationError) -> list[Problem]:
    """What is wrong, field by field, without what was sent."""
    return [_problem(fault) for fault in error.errors(include_url=False, include_input=False)[:50]]


async def read_bytes(request: Request, max_bytes: int) -> bytes:
    """The body as it came. Raises ApiError 413."""
    body = bytearray()
    async for chunk in bounded(request, max_bytes):
        body += chunk
    return bytes(body)


async def bounded(request: Request, max_bytes: int) -> AsyncGenerator[bytes, None]:
    """The body in pieces, of which nothing is kept here. Raises ApiError 413 as soon as there is too much of it."""
    declared = request.headers.get("content-length", "")
    too_large = ApiError(413, f"the body is larger than the {max_bytes:,} bytes that are accepted")
    if declared.isascii() and declared.isdigit() and int(declared[:20]) > max_bytes:
        raise too_large
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > max_bytes:
            raise too_large
        yield chunk


def _problem(fault: ErrorDetails) -> Problem:
    where = ".".join(str(step) for step in fault["loc"]) or "body"
    return Problem(where, fault["msg"].removeprefix("Value error, "), fault["type"])
