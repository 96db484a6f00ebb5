"""What all tasks of one media worker share: connections, the storage, the fetcher. Made once, closed once."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import asyncpg
from muster.adapters.fetching import Fetcher, FetchRules
from muster.adapters.postgres import EffectStore, create_pool
from muster.ports import Effect
from muster.settings import Settings
from rotc.connection import portable_dsn

from media_service.settings import MediaSettings
from media_service.sources import Fetches
from media_service.storage import CloudinaryStorage, Storage

MAX_CONNECTIONS = 10
STATEMENT_SECONDS = 30.0

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"


class Effects(Protocol):
    """Opens the transaction in which an effect and its guard are written together."""

    def once(self, task_id: str, name: str) -> AbstractAsyncContextManager[Effect]: ...


@dataclass(frozen=True)
class MediaResources:
    """What a task may use."""

    pool: Pool
    effects: Effects
    storage: Storage
    fetcher: Fetches
    #: Pictures of one batch worked on at the same time.
    parallel: int


@asynccontextmanager
async def media_resources(settings: Settings) -> AsyncIterator[MediaResources]:
    """Entered by the worker before its first task, left after its last.

    Raises:
        ConfigurationError: a setting is missing or wrong.
        StoreError: the database cannot be used; the storage need not be up.
    """
    own = MediaSettings.from_environment()
    storage = CloudinaryStorage(
        own.cloudinary_cloud_name,
        own.cloudinary_api_key,
        own.cloudinary_api_secret,
        own.cloudinary_upload_prefix,
        own.cloudinary_timeout_seconds,
    )
    fetcher = Fetcher(FetchRules.parse(own.media_allowed_hosts, allow_private=own.media_allow_private_hosts))
    pool = await create_pool(
        portable_dsn(own.database_url.get_secret_value()),
        max_size=MAX_CONNECTIONS,
        application_name="muster-media",
        statement_timeout=STATEMENT_SECONDS,
    )
    async with pool:
        # The guards lie in the database of the effects: a transaction cannot span two.
        effects = EffectStore(pool)
        await effects.ensure()
        yield MediaResources(pool, effects, storage, fetcher, settings.processes or os.cpu_count() or 1)
