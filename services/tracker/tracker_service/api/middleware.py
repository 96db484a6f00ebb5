"""Around every request: one path for both spellings, a request id, a measurement. Answers are the routes' business."""

from __future__ import annotations

import re
import time
import uuid
from typing import Any

import structlog
from muster.observability.metrics import HTTP_SECONDS
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")


class Edge:
    """ASGI middleware: /api/v1 is /api, a final slash is none, X-Request-ID is echoed or made."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope["path"] = _path(scope["path"])
        request_id = scope["request_id"] = _request_id(scope)
        status = 500
        began = time.perf_counter()

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._app(scope, receive, answer)
            finally:
                HTTP_SECONDS.labels(_method(scope), _route(scope), str(status)).observe(time.perf_counter() - began)


def _path(path: str) -> str:
    if path.startswith("/api/v1/"):
        path = "/api" + path[len("/api/v1") :]
    return path.rstrip("/") or "/"


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return str(value.decode())
    return uuid.uuid4().hex


def _method(scope: Scope) -> str:
    """Bounded: a label may not be whatever a stranger sends."""
    method = str(scope["method"])
    return method if method in {"GET", "POST", "HEAD", "OPTIONS", "DELETE", "PUT"} else "other"


def _route(scope: Scope) -> str:
    route: Any = scope.get("route")
    return str(getattr(route, "path", "unknown"))
