"""One import from its rows to its result: once only, with its notice, its audit row and the backend's cache dropped."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any

import rotc.imports
import rotc.notifications
from muster.contracts.errors import MemoryLimitExceeded, PermanentError
from muster.worker.context import Context
from rotc.connection import Connection
from rotc.imports import Strategy

from import_service.cache import CacheNotDropped, drop_cached
from import_service.domain.file_refusals import RefusedFile
from import_service.loading import Loaded, Target, load
from import_service.refusals import without_rows
from import_service.reporting import NOT_STORED, store_report
from import_service.resources import ImportResources
from import_service.sources import Rows

#: What was sent can never be imported; the messages are sentences without personal data.
UNUSABLE = (PermanentError, RefusedFile, MemoryLimitExceeded)
#: Of the guard: a task imports once.
EFFECT = "import"


@dataclass(frozen=True)
class Order:
    """What is imported, how, and for whom."""

    target: Target
    strategy: Strategy
    user_id: int
    dry_run: bool = False
    #: notifications.type, when anything was right and when nothing was.
    complete: str = "import_complete"
    failed: str = "import_failed"


async def import_rows(ctx: Context[ImportResources], order: Order, reading: Awaitable[Rows]) -> dict[str, Any]:
    """As run_import; when nothing can ever be imported, the requester is told why.

    Raises: what reading and importing raise.
    """
    try:
        return await run_import(ctx, order, await reading)
    except UNUSABLE as error:
        if not order.dry_run:
            await _tell_failure(ctx, order, str(error))
        raise


async def run_import(ctx: Context[ImportResources], order: Order, rows: Rows) -> dict[str, Any]:
    """The result of the import as plain values; run again, that of the run which was written down."""
    if order.dry_run:
        return await _rehearse(ctx, order, rows)
    async with ctx.resources.effects.once(ctx.task_id, EFFECT) as effect:
        if effect.done:
            result: dict[str, Any] = effect.result
        else:
            result = await _load(ctx, effect.connection, order, rows)
            await _tell(ctx, effect.connection, order, result)
            effect.finish(result)
    # Also by a repeated run: the one before it may have ended between its commit and this.
    return {**result, "warnings": [*result["warnings"], *await _drop_cached(ctx, order)]}


async def _load(ctx: Context[ImportResources], connection: Connection, order: Order, rows: Rows) -> dict[str, Any]:
    with without_rows():
        loaded = await load(
            connection, order.target, rows, strategy=order.strategy, user_id=order.user_id, dry_run=order.dry_run,
            progress=ctx.progress,
        )  # fmt: skip
    url = await store_report(ctx, connection)
    warnings = [*rows.warnings, *_warnings(loaded, order), *([] if url else [NOT_STORED])]
    return {**result_of(loaded, order), "warnings": warnings, "report_url": url}


async def _rehearse(ctx: Context[ImportResources], order: Order, rows: Rows) -> dict[str, Any]:
    async with ctx.resources.pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        try:
            return await _load(ctx, connection, order, rows)
        finally:
            await transaction.rollback()


def result_of(loaded: Loaded, order: Order) -> dict[str, Any]:
    """What is told of an import; counts are those of all rows, lists are bounded."""
    counts = loaded.counts
    return {
        "total": loaded.total,
        "created_count": counts.created,
        "updated_count": counts.updated,
        "skipped_count": counts.skipped,
        "error_count": counts.refused,
        "success_count": counts.created + counts.updated,
        "problem_count": counts.problems,
        "errors": [
            {"row": one.row, "field": one.field, "code": one.code, "message": one.message} for one in loaded.errors
        ],
        # A rehearsal creates nobody who could have an id.
        "created_ids": [] if order.dry_run else loaded.created_ids,
        "updated_ids": loaded.updated_ids,
        "dry_run": order.dry_run,
    }


def _warnings(loaded: Loaded, order: Order) -> list[str]:
    told = [
        f"The field {name} is unknown and was passed over in {count:,} rows." for name, count in loaded.unknown.items()
    ]
    if order.strategy is Strategy.SKIP and loaded.counts.skipped:
        told.append(f"{loaded.counts.skipped:,} rows are of records that exist already: they stayed as they are.")
    return told


async def _tell_failure(ctx: Context[ImportResources], order: Order, reason: str) -> None:
    # Under a guard of its own: the task may be sent again with other parameters, and must import them then.
    async with ctx.resources.effects.once(ctx.task_id, "import-failed") as effect:
        if not effect.done:
            words = f"Import of {order.target.entity.name} failed: {reason}"
            await rotc.notifications.notify_user(effect.connection, order.user_id, words, order.failed)
            effect.finish()


async def _tell(ctx: Context[ImportResources], connection: Connection, order: Order, result: dict[str, Any]) -> None:
    kept = ("total", "created_count", "updated_count", "skipped_count", "error_count")
    noted = {
        "entity": order.target.entity.name,
        "task_id": ctx.task_id,
        "task_type": ctx.task_type,
        **{name: result[name] for name in kept},
    }
    await rotc.imports.audit_import(connection, order.user_id, noted)
    nothing = result["success_count"] + result["skipped_count"] == 0
    words = (
        f"Import of {order.target.entity.name}: {result['total']:,} rows, {result['created_count']:,} created, "
        f"{result['updated_count']:,} updated, {result['skipped_count']:,} left as they were, "
        f"{result['error_count']:,} refused."
    )
    await rotc.notifications.notify_user(connection, order.user_id, words, order.failed if nothing else order.complete)


async def _drop_cached(ctx: Context[ImportResources], order: Order) -> list[str]:
    url = ctx.resources.redis_url
    if url is None:
        return []
    try:
        dropped = await drop_cached(url, order.target.cached)
    except CacheNotDropped as error:
        ctx.log.warning("Cache not dropped", action="import.cache_not_dropped")
        return [str(error)]
    ctx.log.info("Cache dropped", action="import.cache_dropped", keys=dropped)
    return []
