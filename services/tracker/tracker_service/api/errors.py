"""The error envelope of the API: `{"error": true, "message", "code", "details"}`. Success bodies have none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from fastapi import FastAPI, Request, Response
from muster.contracts.errors import BrokerError, PayloadUnavailable, Problem, StoreError
from muster.observability.logging import get_logger
from starlette.exceptions import HTTPException

from tracker_service.projection.store import UNAVAILABLE

_CODES = {
    400: "BAD_REQUEST", 401: "UNAUTHORIZED", 403: "FORBIDDEN", 404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED",
    409: "CONFLICT", 413: "PAYLOAD_TOO_LARGE", 415: "UNSUPPORTED_MEDIA_TYPE", 422: "UNPROCESSABLE_ENTITY",
    429: "TOO_MANY_REQUESTS", 500: "INTERNAL_SERVER_ERROR", 503: "SERVICE_UNAVAILABLE",
}  # fmt: skip
_PARTS = ((BrokerError, "Kafka"), (PayloadUnavailable, "The store of large parameters"))

_log = get_logger(__name__)


class ApiError(Exception):
    """A refusal: its status, one sentence, and each bad field when there are any."""

    def __init__(
        self, status: int, message: str, problems: Sequence[Problem] = (), headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.problems = tuple(problems)
        self.headers = dict(headers or {})


def json_response(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(body), status, headers, media_type="application/json")


def error_response(request: Request, error: ApiError) -> Response:
    details: dict[str, Any] = {"request_id": request.scope.get("request_id", "")}
    if error.problems:
        details["problems"] = error.problems
    body = {"error": True, "message": error.message, "code": _CODES.get(error.status, "ERROR"), "details": details}
    return json_response(body, error.status, error.headers)


def install(app: FastAPI) -> None:
    """Give every error of the app the envelope."""

    @app.exception_handler(ApiError)
    async def refused(request: Request, error: ApiError) -> Response:
        return error_response(request, error)

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> Response:
        return error_response(request, ApiError(error.status_code, str(error.detail), headers=error.headers))

    async def away(request: Request, error: Exception) -> Response:
        what = next((name for kind, name in _PARTS if isinstance(error, kind)), "PostgreSQL")
        _log.warning("A request failed for want of a part", action="api.unavailable", part=what, error=str(error))
        refusal = ApiError(503, f"{what} does not answer: try again in a moment", headers={"Retry-After": "2"})
        return error_response(request, refusal)

    for kind in (BrokerError, PayloadUnavailable, StoreError, *UNAVAILABLE):
        app.add_exception_handler(kind, away)

    @app.exception_handler(Exception)
    async def broken(request: Request, error: Exception) -> Response:
        _log.error("A request failed", action="api.failed", path=request.url.path, exc_info=error)
        return error_response(request, ApiError(500, "the request failed by a fault of the tracker; its log says why"))
