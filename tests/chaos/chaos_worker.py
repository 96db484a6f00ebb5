"""A worker whose tasks succeed, sleep, fail and leave traces: what chaos kills. Counting is verdict.py's."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from muster.adapters.postgres import EffectStore, create_pool
from muster.bootstrap import run_worker
from muster.contracts.errors import ConfigurationError, PermanentError
from muster.contracts.retry import RetryPolicy
from muster.settings import Settings
from muster.worker.app import TaskApp
from muster.worker.context import Context
from pydantic import BaseModel, ConfigDict, Field

SERVICE = "notify"
RUNS = "CHAOS_RUNS"
_EFFECT = "INSERT INTO chaos_effects (task_id, attempt) VALUES ($1, $2)"


@dataclass(frozen=True)
class Traces:
    """Where runs and effects are written."""

    store: EffectStore
    runs: int

    def began(self, ctx: Context[Traces]) -> None:
        """One write of a short line is whole, whenever the process is killed."""
        os.write(self.runs, f"{ctx.task_id} {ctx.attempt} {ctx.delivery} {time.time():.6f}\n".encode())

    async def effect(self, ctx: Context[Traces]) -> None:
        async with self.store.once(ctx.task_id, "effect") as effect:
            if not effect.done:
                await effect.connection.execute(_EFFECT, ctx.task_id, ctx.attempt)
                effect.finish()


@asynccontextmanager
async def traces(settings: Settings) -> AsyncIterator[Traces]:
    if settings.database_url is None:
        raise ConfigurationError("DATABASE_URL is missing")
    pool = await create_pool(settings.database_url.get_secret_value(), max_size=8)
    log = Path(os.environ[RUNS]) / f"{os.getpid()}-{time.time_ns()}.log"
    runs = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        yield Traces(EffectStore(pool), runs)
    finally:
        os.close(runs)
        pool.terminate()


class Nap(BaseModel):
    """How long to sleep, in seconds."""

    model_config = ConfigDict(extra="forbid")

    seconds: float = Field(ge=0, le=60)


app = TaskApp[Traces](SERVICE, resources=traces)
_SHORT = RetryPolicy(max_retries=3, base=1.0, factor=2.0, cap=4.0)


@app.task(retry=_SHORT)
async def quick(ctx: Context[Traces]) -> None:
    """One effect, at once."""
    ctx.resources.began(ctx)
    await ctx.resources.effect(ctx)


@app.task(retry=_SHORT)
async def nap(ctx: Context[Traces], params: Nap) -> None:
    """One effect, after a while."""
    ctx.resources.began(ctx)
    await asyncio.sleep(params.seconds)
    await ctx.resources.effect(ctx)


@app.task(retry=_SHORT)
async def stumble(ctx: Context[Traces]) -> None:
    """Fails once, with its effect already done."""
    ctx.resources.began(ctx)
    await ctx.resources.effect(ctx)
    if ctx.attempt == 1:
        raise ConnectionError("the first attempt always fails")


@app.task(retry=_SHORT)
async def refuse(ctx: Context[Traces]) -> None:
    """Can never succeed."""
    ctx.resources.began(ctx)
    raise PermanentError("nobody can do this")


if __name__ == "__main__":
    run_worker(app)
