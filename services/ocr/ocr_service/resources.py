"""What all tasks of one ocr worker share: connections, the fetcher, Tesseract. Made once, closed once."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

import rotc.readings
from muster.adapters.fetching import Fetcher, FetchRules
from muster.settings import Settings
from rotc.service_resources import Effects, Pool, database

from ocr_service.settings import OcrSettings
from ocr_service.tesseract import Tesseract, find_tesseract


class Fetches(Protocol):
    """Gets a file from a URL that a stranger named."""

    async def fetch(self, url: str, *, max_bytes: int) -> bytes: ...


@dataclass(frozen=True)
class OcrResources:
    """What a task may use."""

    pool: Pool
    effects: Effects
    fetcher: Fetches
    tesseract: Tesseract
    #: Days for which readings are kept; 0: they are not.
    cache_days: float
    #: Documents of one batch worked on at the same time.
    parallel: int


@asynccontextmanager
async def ocr_resources(settings: Settings) -> AsyncIterator[OcrResources]:
    """Entered by the worker before its first task, left after its last.

    Raises:
        ConfigurationError: a setting is missing or wrong, or there is no Tesseract.
        StoreError: the database cannot be used.
    """
    own = OcrSettings.from_environment()
    tesseract = await asyncio.to_thread(find_tesseract, own.tesseract_cmd, own.tessdata_prefix, own.ocr_page_seconds)
    fetcher = Fetcher(FetchRules.parse(own.ocr_allowed_hosts, allow_private=own.ocr_allow_private_hosts))
    async with database(own) as (pool, effects):
        async with pool.acquire() as connection:
            await rotc.readings.ensure_table(connection)
        parallel = settings.processes or os.cpu_count() or 1
        yield OcrResources(pool, effects, fetcher, tesseract, own.ocr_cache_days, parallel)
