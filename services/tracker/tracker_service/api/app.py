"""Puts the API together: routes, probes, metrics, errors, middleware. What they answer is theirs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi_offline import FastAPIOffline
from muster import __version__
from muster.contracts.errors import Problem
from muster.observability.metrics import REGISTRY
from prometheus_client.exposition import choose_encoder

from tracker_service.api import (
    bulk_revocation,
    certificates,
    dead_letters,
    errors,
    imports,
    letters,
    mail_refusal,
    papers,
    pauses,
    push,
)
from tracker_service.api.context import Api
from tracker_service.api.health import check_database, check_kafka
from tracker_service.api.middleware import Edge
from tracker_service.api.routes import router
from tracker_service.api.stats import Stats
from tracker_service.projection.store import UNAVAILABLE

_DESCRIPTION = """Status, submission and revocation of background tasks.

Every path stands under `/api` and `/api/v1`, with and without a final slash. Send `Authorization: Bearer` with a token
of the Django backend, or `X-API-Key`. Errors have one shape: `{"error": true, "message", "code", "details"}`."""

#: FastAPI would record query strings, validation errors with what was sent, and a span of every probe.
_OUR_OWN = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}


def create_app(api: Api, *, live: Callable[[], bool]) -> FastAPI:
    """The application; `live`: whether the process's own loops run."""
    # The page's scripts come from here: an admin's token shall not meet those of a foreign host.
    app = FastAPIOffline(
        title="Muster tracker", version=__version__, description=_DESCRIPTION, docs_url="/api/docs", redoc_url=None,
        openapi_url="/api/openapi.json", static_url="/api/docs-assets", redirect_slashes=False, telemetry=_OUR_OWN,
    )  # fmt: skip
    app.state.api = api
    app.state.stats = Stats()
    for routes in (
        router,
        dead_letters.router,
        bulk_revocation.router,
        pauses.router,
        certificates.router,
        letters.router,
        papers.router,
        push.router,
        mail_refusal.router,
        imports.router,
    ):
        app.include_router(routes)
    errors.install(app)
    _probes(app, api, live)
    app.add_middleware(Edge)
    _secure(app)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        problems = [
            Problem(".".join(str(step) for step in fault["loc"][1:]) or "body", str(fault["msg"]), str(fault["type"]))
            for fault in error.errors()[:50]
        ]
        message = f"the request is not valid: {problems[0].field}: {problems[0].message}"
        return errors.error_response(request, errors.ApiError(422, message, problems))

    return app


def _probes(app: FastAPI, api: Api, live: Callable[[], bool]) -> None:
    @app.get("/livez", include_in_schema=False)
    async def livez() -> Response:
        return Response("ok" if live() else "not alive", 200 if live() else 503, media_type="text/plain")

    @app.get("/readyz", include_in_schema=False)
    async def readyz() -> Response:
        lines, ready = [], live()
        for name, check in (("database", check_database), ("kafka", check_kafka)):
            try:
                passed, why = await check(api)
            except UNAVAILABLE as error:
                passed, why = False, type(error).__name__
            ready = ready and passed
            lines.append(f"[{'+' if passed else '-'}]{name} {why}")
        return Response("\n".join([*lines, "ok" if ready else "not ready"]), 200 if ready else 503)

    @app.get("/metrics", include_in_schema=False)
    async def metrics(request: Request) -> Response:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(REGISTRY), headers={"content-type": content_type})


def _secure(app: FastAPI) -> None:
    """Say in the OpenAPI document how callers identify themselves; `callers.py` is what checks it."""
    original = app.openapi

    def openapi() -> dict[str, Any]:
        schema = original()
        components = schema.setdefault("components", {})
        components["securitySchemes"] = {
            "backend token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
            "API key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        }
        schema["security"] = [{"backend token": []}, {"API key": []}]
        return schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's own way to extend the document
