"""A worker with tasks made for the stories: they nap, stumble and note every run in a file. Real work is elsewhere."""

from __future__ import annotations

import asyncio
import os
import time
from unittest.mock import patch

from muster.adapters.kafka_consumer import ConsumerOptions
from muster.bootstrap import run_worker
from muster.contracts.retry import RetryPolicy
from muster.worker.app import TaskApp
from muster.worker.context import Context
from pydantic import BaseModel, ConfigDict, Field

#: The service whose lanes it reads: one whose own program the stories do not start.
SERVICE = os.environ.get("PRACTICE_SERVICE", "notify")
LEDGER = "PRACTICE_LEDGER"
#: How long Kafka lets the worker poll nothing, in seconds; its own default is five minutes.
POLL_SECONDS = "PRACTICE_POLL_SECONDS"

app = TaskApp[None](SERVICE)


class Nap(BaseModel):
    """How long to sleep."""

    model_config = ConfigDict(extra="forbid")

    seconds: float = Field(ge=0, le=7200)


class Stumble(BaseModel):
    """How many attempts fail before one succeeds."""

    model_config = ConfigDict(extra="forbid")

    times: int = Field(ge=0, le=5)
    #: Only there to be large.
    ballast: str = ""


@app.task(time_limit=8000)
async def nap(ctx: Context[None], params: Nap) -> str:
    """Sleep, and say so before and after."""
    _note(ctx, "began")
    await asyncio.sleep(params.seconds)
    _note(ctx, "ended")
    return "rested"


@app.task(time_limit=900)
async def grind(ctx: Context[None], params: Nap) -> None:
    """Keep a child process busy."""
    _note(ctx, "began")
    await ctx.compute(_grind, params.seconds)
    _note(ctx, "ended")


def _grind(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


@app.task(retry=RetryPolicy(max_retries=3, base=1.0, factor=1.0, jitter=False))
async def stumble(ctx: Context[None], params: Stumble) -> int:
    """Fail the first `times` attempts; the result is the attempt that succeeded."""
    _note(ctx, "began")
    if ctx.attempt <= params.times:
        raise ConnectionError(f"attempt {ctx.attempt} finds no connection")
    return ctx.attempt


def _note(ctx: Context[None], what: str) -> None:
    line = f"{ctx.task_id} {what} {ctx.attempt} {ctx.delivery} {time.time():.6f}\n"
    # One write of a short line is whole, whenever the process is killed.
    ledger = os.open(os.environ[LEDGER], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(ledger, line.encode())
    finally:
        os.close(ledger)


if __name__ == "__main__":
    keywords = ConsumerOptions.as_keywords
    seconds = float(os.environ.get(POLL_SECONDS, "300"))
    with patch.object(
        ConsumerOptions, "as_keywords", lambda self: {"max_poll_interval_ms": int(seconds * 1000)} | keywords(self)
    ):
        run_worker(app)
