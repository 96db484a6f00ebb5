"""What the routes share, and the caller behind a request. Every part is made in service.py."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request
from muster.claim_check import ClaimCheck
from muster.contracts.topics import Topics
from muster.ports import Admin, Broker, Clock, Producer
from muster.settings import Settings

from tracker_service.api.callers import Caller, Callers
from tracker_service.api.catalog import Catalog
from tracker_service.api.errors import ApiError
from tracker_service.api.limits import RateLimit
from tracker_service.api.waiting import Waiting
from tracker_service.database import Pool
from tracker_service.projection.freshness import Freshness
from tracker_service.projection.reading import Reader
from tracker_service.projection.store import Store
from tracker_service.recovery.beats import Beats
from tracker_service.settings import TrackerSettings


@dataclass(frozen=True)
class Api:
    """The parts of the tracker that answer requests."""

    settings: Settings
    tracker: TrackerSettings
    topics: Topics
    clock: Clock
    pool: Pool
    store: Store
    reader: Reader
    broker: Broker
    producer: Producer
    admin: Admin
    freshness: Freshness
    beats: Beats
    waiting: Waiting
    catalog: Catalog
    callers: Callers
    limit: RateLimit
    refusals: RateLimit
    claims: ClaimCheck | None = None


async def api_of(request: Request) -> Api:
    # async: FastAPI would give a plain function a thread.
    return cast(Api, request.app.state.api)


async def caller_of(request: Request, api: Annotated[Api, Depends(api_of)]) -> Caller:
    """The caller, counted against the limits.

    Raises:
        ApiError: 401, 403 or 429.
    """
    try:
        caller = await api.callers.identify(request)
    except ApiError:
        api.refusals.count(request.client.host if request.client else "unknown")
        raise
    api.limit.count(caller.name)
    return caller


async def admin_of(caller: Annotated[Caller, Depends(caller_of)]) -> Caller:
    if not caller.is_admin:
        raise ApiError(403, "only an admin may do this")
    return caller


TheApi = Annotated[Api, Depends(api_of)]
TheCaller = Annotated[Caller, Depends(caller_of)]
TheAdmin = Annotated[Caller, Depends(admin_of)]
