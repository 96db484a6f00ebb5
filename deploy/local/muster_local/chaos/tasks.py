"""Tasks that succeed, sleep, fail, compute in a child and leave traces: what chaos kills. Counting is verdict.py's."""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from muster.adapters.postgres import EffectStore, create_pool
from muster.contracts.errors import ConfigurationError, PermanentError
from muster.contracts.retry import RetryPolicy
from muster.settings import Settings
from muster.worker.app import TaskApp
from muster.worker.context import Context, ProcessContext
from pydantic import BaseModel, ConfigDict, Field

SERVICE = "notify"
RUNS = "CHAOS_RUNS"
_EFFECT = "INSERT INTO chaos_effects (task_id, attempt) VALUES ($1, $2)"
#: About 20 ms of a processor.
_ROUNDS = 20_000


@dataclass(frozen=True)
class Traces:
    """Where runs and effects are written."""

    store: EffectStore
    runs: int

    def began(self, ctx: Context[Traces]) -> None:
        os.write(self.runs, _line(ctx))

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
    runs = _open_log(os.getpid(), f"{time.time_ns()}")
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
async def falter(ctx: Context[Traces]) -> None:
    """Fails until no attempt is left."""
    ctx.resources.began(ctx)
    raise ConnectionError("every attempt fails")


@app.task(retry=_SHORT)
async def refuse(ctx: Context[Traces]) -> None:
    """Can never succeed."""
    ctx.resources.began(ctx)
    raise PermanentError("nobody can do this")


@app.task(retry=_SHORT, runs_in="process")
def grind(ctx: ProcessContext) -> str:
    """Keeps a processor busy in a child process, which dies with its worker."""
    runs = _open_log(os.getppid(), f"child-{os.getpid()}")
    try:
        os.write(runs, _line(ctx))
    finally:
        os.close(runs)
    return hashlib.pbkdf2_hmac("sha256", ctx.task_id.encode(), b"chaos", _ROUNDS).hex()


def _open_log(pid: int, name: str) -> int:
    return os.open(Path(os.environ[RUNS]) / f"{pid}-{name}.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)


def _line(ctx: Context[Traces] | ProcessContext) -> bytes:
    """One write of a short line is whole, whenever the process is killed."""
    return f"{ctx.task_id} {ctx.attempt} {ctx.delivery} {time.time():.6f}\n".encode()
