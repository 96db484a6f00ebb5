"""What the tasks of a service work with: its pool, its guarded effects. Made from settings, closed after use."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol, TypeAlias

import asyncpg
from muster.adapters.postgres import EffectStore, create_pool
from muster.ports import Effect

from rotc.connection import portable_dsn
from rotc.service_settings import ServiceSettings

MAX_CONNECTIONS = 10
STATEMENT_SECONDS = 30.0

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"


class Effects(Protocol):
    """Opens the transaction in which an effect and its guard are written together."""

    def once(self, task_id: str, name: str) -> AbstractAsyncContextManager[Effect]: ...


@asynccontextmanager
async def database(
    settings: ServiceSettings, *, statement_seconds: float = STATEMENT_SECONDS
) -> AsyncIterator[tuple[Pool, EffectStore]]:
    """The service's pool, and the guards: they lie in the database of the effects, since no transaction spans two.

    Args:
        statement_seconds: how long one statement may take.

    Raises:
        StoreError: the database cannot be used.
    """
    pool = await create_pool(
        portable_dsn(settings.database_url.get_secret_value()),
        max_size=MAX_CONNECTIONS,
        application_name=f"muster-{settings.service}",
        statement_timeout=statement_seconds,
    )
    async with pool:
        effects = EffectStore(pool)
        await effects.ensure()
        yield pool, effects
