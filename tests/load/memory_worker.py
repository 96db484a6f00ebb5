"""The worker whose memory is measured: its task reads parameters and tells progress. Figures: memory_bench.py."""

from __future__ import annotations

from muster.bootstrap import run_worker
from muster.worker import Context, TaskApp
from pydantic import BaseModel

app = TaskApp[None]("media")


class Note(BaseModel):
    """Anything with a body."""

    text: str


@app.task()
async def note(ctx: Context[None], params: Note) -> int:
    """What passes every part of the worker once."""
    await ctx.progress(1, 1, "read")
    return len(params.text)


if __name__ == "__main__":
    run_worker(app)
