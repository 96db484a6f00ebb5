"""The worker of the benchmark: one task that does nothing. What it measures is in benchmark/."""

from __future__ import annotations

from muster.bootstrap import run_worker
from muster.worker import Context, TaskApp

app = TaskApp[None]("media")


@app.task()
async def noop(ctx: Context[None]) -> None:
    """What both stacks run: nothing, so that only the machinery is measured."""


if __name__ == "__main__":
    run_worker(app)
