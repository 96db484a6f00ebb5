"""The import tasks: parameters in, result out. How it is done is in importing, loading and domain."""

from __future__ import annotations

from muster.contracts.errors import MemoryLimitExceeded
from muster.worker.app import TaskApp, minutes
from muster.worker.context import Context
from rotc.cleanup import Old
from rotc.imports import Strategy
from rotc.permission import STAFF_ROLES, require_staff

from import_service.cleaning import clean_up
from import_service.domain.file_refusals import RefusedFile
from import_service.files import file_rows
from import_service.importing import Order, import_rows
from import_service.params import (
    BulkUpdate,
    BulkUpdateResult,
    CleanAuditLogs,
    Cleaned,
    CleanSyncEvents,
    ImportFile,
    ImportResult,
    ImportRotcmis,
)
from import_service.resources import ImportResources, import_resources
from import_service.sources import json_rows
from import_service.targets import CHANGED_CADETS, IMPORTED_CADETS, TABLES

WORKBOOK_MB = 768

app = TaskApp("import", resources=import_resources)


async def _require_staff(ctx: Context[ImportResources], user_id: int) -> None:
    """Both who imports and who submitted the task, where somebody did."""
    async with ctx.resources.pool.acquire() as connection:
        await require_staff(connection, user_id, ctx.submitter)


@app.task(roles=STAFF_ROLES, time_limit=minutes(30))
async def import_rotcmis_data(ctx: Context[ImportResources], params: ImportRotcmis) -> ImportResult:
    """Bring cadets of a ROTCMIS export into the database, all valid rows in one transaction; refused rows are named."""
    await _require_staff(ctx, params.user_id)
    order = Order(IMPORTED_CADETS, Strategy(params.merge_strategy), params.user_id, params.dry_run)
    return ImportResult.model_validate(await import_rows(ctx, order, json_rows(ctx, params.source)))


@app.task(roles=STAFF_ROLES, time_limit=minutes(30))
async def bulk_update_cadets(ctx: Context[ImportResources], params: BulkUpdate) -> BulkUpdateResult:
    """Set fields of many cadets in one transaction; only fields of the whitelist, and every change is audited."""
    await _require_staff(ctx, params.user_id)
    order = Order(
        CHANGED_CADETS, Strategy.UPDATE, params.user_id, complete="bulk_update_complete", failed="bulk_update_failed"
    )
    result = await import_rows(ctx, order, json_rows(ctx, params.updates_data))
    return BulkUpdateResult.model_validate({**result, "unchanged_count": result["skipped_count"]})


# The largest workbook that is read needs 230 MB; one that wants far more does so every time.
@app.task(
    roles=STAFF_ROLES, permanent=(RefusedFile, MemoryLimitExceeded), memory_mb=WORKBOOK_MB, time_limit=minutes(30)
)  # fmt: skip
async def import_csv(ctx: Context[ImportResources], params: ImportFile) -> ImportResult:
    """Bring cadets, grades or attendance from a CSV file or an Excel workbook into the database, in one transaction."""
    await _require_staff(ctx, params.user_id)
    target = TABLES[params.entity_type]
    order = Order(target, Strategy(params.merge_strategy), params.user_id, params.dry_run)
    return ImportResult.model_validate(await import_rows(ctx, order, file_rows(ctx, params.file, target.entity)))


@app.task(roles=("admin",), time_limit=minutes(60))
async def cleanup_old_audit_logs(ctx: Context[ImportResources], params: CleanAuditLogs) -> Cleaned:
    """Delete audit rows older than so many days, in batches."""
    return Cleaned(deleted=await clean_up(ctx, Old.AUDIT_LOGS, params.days))


@app.task(roles=("admin",), time_limit=minutes(60))
async def cleanup_old_sync_events(ctx: Context[ImportResources], params: CleanSyncEvents) -> Cleaned:
    """Delete sync events that were processed and are older than so many days, in batches."""
    return Cleaned(deleted=await clean_up(ctx, Old.SYNC_EVENTS, params.days))
