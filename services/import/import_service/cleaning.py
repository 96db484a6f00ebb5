"""Old rows go a batch at a time, each in a transaction of its own, so that nobody waits for them; which is rotc's.

A batch is counted by its guard: a run after a killed one deletes what is left, and tells the number of both.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

from muster.worker.context import Context
from rotc.cleanup import Old, count_old, delete_old

from import_service.resources import ImportResources

BATCH = 5_000
#: Between two batches: the backend's own work gets its turn, and vacuum and replicas keep up.
PAUSE_SECONDS = 0.05


async def clean_up(ctx: Context[ImportResources], what: Old, days: int) -> int:
    """Deletes what is older than so many days; returns how many rows, those of killed runs of the task included."""
    before = ctx.resources.now() - timedelta(days=days)
    async with ctx.resources.pool.acquire() as connection:
        left = await count_old(connection, what, before)
    deleted, fresh = 0, 0
    for number in range(1, 10**9):
        count, is_repeated = await _batch(ctx, what, before, number)
        deleted += count
        if is_repeated:
            continue
        fresh += count
        await ctx.progress(min(fresh, left), left, "deleting")
        if count < BATCH:
            break
        await asyncio.sleep(PAUSE_SECONDS)
    ctx.log.info("Cleaned up", action="import.cleaned_up", table=what, deleted=deleted)
    return deleted


async def _batch(ctx: Context[ImportResources], what: Old, before: datetime, number: int) -> tuple[int, bool]:
    """How many rows the batch with this number had, and whether an earlier run deleted them."""
    async with ctx.resources.effects.once(ctx.task_id, f"batch-{number}") as effect:
        if effect.done:
            return int(effect.result), True
        count = await delete_old(effect.connection, what, before, most=BATCH)
        effect.finish(count)
    return count, False
