"""Notifications that the app lists: the reminder of a training day, and the end of old ones. Sends nothing."""

from __future__ import annotations

import asyncio

import rotc.reminders
import rotc.sent_mails
from muster.worker.context import Context

from notify_service.resources import NotifyResources

BATCH = 5_000
#: Between two batches, so that others get at the table; in seconds.
PAUSE = 0.2


async def remind(ctx: Context[NotifyResources], training_day_id: int) -> int:
    """One row for each approved account of a cadet who is not archived; run again, it only says how many there were.

    Raises: UnknownEntity.
    """
    async with ctx.resources.effects.once(ctx.task_id, "reminder") as effect:
        if effect.done:
            return int(effect.result)
        told = await rotc.reminders.remind_cadets(effect.connection, training_day_id)
        effect.finish(told)
    return told


async def clean_up(ctx: Context[NotifyResources], days: int) -> int:
    """Batch after batch, each in a transaction of its own; how many rows this run deleted.

    What became of mails is forgotten along with it, once no task can be run again that would ask.
    """
    deleted = 0
    while True:
        async with ctx.resources.pool.acquire() as connection:
            gone = await rotc.reminders.delete_read(connection, days, BATCH)
        deleted += gone
        await ctx.progress(deleted, None, "notifications deleted")
        if gone < BATCH:
            break
        await asyncio.sleep(PAUSE)
    await _forget_mails(ctx)
    return deleted


async def _forget_mails(ctx: Context[NotifyResources]) -> None:
    gone = BATCH
    while gone == BATCH:
        async with ctx.resources.pool.acquire() as connection:
            gone = await rotc.sent_mails.forget_old(connection, BATCH)
        await asyncio.sleep(PAUSE if gone == BATCH else 0)
