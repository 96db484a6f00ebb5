"""What all tasks of one media worker share: connections, the storage, the fetcher. Made once, closed once."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from muster.adapters.fetching import Fetcher, FetchRules
from muster.settings import Settings
from rotc.service_resources import Effects, Pool, database
from rotc.sources import Fetches
from rotc.storage import CloudinaryStorage, Storage

from media_service.settings import MediaSettings


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
    fetcher = Fetcher(FetchRules.parse(own.media_allowed_hosts, allow_private=own.media_allow_private_hosts))
    async with database(own) as (pool, effects):
        yield MediaResources(
            pool, effects, CloudinaryStorage.of(own), fetcher, settings.processes or os.cpu_count() or 1
        )
