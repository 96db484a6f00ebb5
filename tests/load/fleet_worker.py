"""The worker of the fleet commands: one task that takes its time and writes down when. Counting is fleet/runs.py's."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from muster.bootstrap import run_worker
from muster.settings import Settings
from muster.worker import Context, TaskApp
from muster.worker.surplus import Surplus
from pydantic import BaseModel, Field

#: Names the folder of the runs; FLEET_HANDOVER=0: every task stays in its partition, to compare with.
RUNS, HANDOVER = "FLEET_RUNS", "FLEET_HANDOVER"


class Hold(BaseModel):
    """How long the task takes, in seconds."""

    seconds: float = Field(ge=0, le=3600)


@asynccontextmanager
async def run_log(settings: Settings) -> AsyncIterator[int]:
    """A file of this process; one write of a short line is whole."""
    log = os.open(Path(os.environ[RUNS]) / f"{os.getpid()}.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        yield log
    finally:
        os.close(log)


app = TaskApp[int]("media", resources=run_log)


@app.task()
async def hold(ctx: Context[int], params: Hold) -> None:
    """Occupies its slot."""
    _say(ctx, "began")
    await asyncio.sleep(params.seconds)
    _say(ctx, "ended")


def _say(ctx: Context[int], what: str) -> None:
    os.write(ctx.resources, f"{what} {ctx.task_id} {ctx.attempt} {ctx.delivery} {time.time():.4f}\n".encode())


def _stay_put() -> None:
    def no_room(surplus: Surplus) -> tuple[int, frozenset[str]]:
        return 0, frozenset()

    Surplus.room = no_room  # type: ignore[assignment,method-assign]  # what an engine without hand-over does


if __name__ == "__main__":
    if os.environ.get(HANDOVER) == "0":
        _stay_put()
    run_worker(app)
