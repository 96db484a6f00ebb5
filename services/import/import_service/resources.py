"""What all tasks of one import worker share: connections, the storage, the backend's cache. Made once, closed once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from muster.adapters.fetching import Fetcher, FetchRules
from muster.settings import Settings
from rotc.service_resources import Effects, Pool, database
from rotc.storage import CloudinaryStorage, Storage

from import_service.settings import ImportSettings

#: One merge of 100,000 rows takes seconds; a database under load may need several times that.
STATEMENT_SECONDS = 300.0


class Fetches(Protocol):
    """Gets a file from a URL that a caller named."""

    async def fetch(self, url: str, *, max_bytes: int) -> bytes: ...


def now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class ImportResources:
    """What a task may use."""

    pool: Pool
    effects: Effects
    storage: Storage
    fetcher: Fetches
    #: Address of the Redis in which the backend caches; None: it does not.
    redis_url: str | None = None
    now: Callable[[], datetime] = now


@asynccontextmanager
async def import_resources(settings: Settings) -> AsyncIterator[ImportResources]:
    """Entered by the worker before its first task, left after its last.

    Raises:
        ConfigurationError: a setting is missing or wrong.
        StoreError: the database cannot be used; storage and Redis need not be up.
    """
    own = ImportSettings.from_environment()
    fetcher = Fetcher(FetchRules.parse(own.import_allowed_hosts, allow_private=own.import_allow_private_hosts))
    redis_url = own.redis_url.get_secret_value() if own.redis_url else None
    async with database(own, statement_seconds=STATEMENT_SECONDS) as (pool, effects):
        yield ImportResources(pool, effects, CloudinaryStorage.of(own), fetcher, redis_url)
