"""What all tasks of one reports worker share: connections, the storage, keys. Made once, closed once."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from muster.adapters.fetching import Fetcher, FetchRules
from muster.settings import Settings
from rotc import issued_certificates
from rotc.service_resources import Effects, Pool, database
from rotc.storage import CloudinaryStorage, Storage

from reports_service.settings import ReportsSettings


class Fetches(Protocol):
    """Gets a file from a URL that stands in the database."""

    async def fetch(self, url: str, *, max_bytes: int) -> bytes: ...


def now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class ReportsResources:
    """What a task may use."""

    pool: Pool
    effects: Effects
    storage: Storage
    fetcher: Fetches
    settings: ReportsSettings
    #: Reports of one batch worked on at the same time.
    parallel: int
    now: Callable[[], datetime] = now


@asynccontextmanager
async def reports_resources(settings: Settings) -> AsyncIterator[ReportsResources]:
    """Entered by the worker before its first task, left after its last.

    Raises:
        ConfigurationError: a setting is missing or wrong.
        StoreError: the database cannot be used; the storage need not be up.
    """
    own = ReportsSettings.from_environment()
    own.keys()
    fetcher = Fetcher(FetchRules.parse(own.reports_photo_hosts, allow_private=own.reports_allow_private_hosts))
    async with database(own) as (pool, effects):
        async with pool.acquire() as connection:
            await issued_certificates.ensure(connection)
        parallel = settings.processes or os.cpu_count() or 1
        yield ReportsResources(pool, effects, CloudinaryStorage.of(own), fetcher, own, parallel)
