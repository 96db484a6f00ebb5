"""Stores what became of every row of an import as a file, before its transaction ends: later nobody knows it any more.

A storage that is out of order costs the file, not the import.
"""

from __future__ import annotations

import asyncio
import hashlib
import re

from muster.contracts.errors import TaskError
from muster.worker.context import Context
from rotc.connection import Connection
from rotc.imports import report_lines

from import_service.domain.report import Report
from import_service.resources import ImportResources

FOLDER = "rotc/imports"
#: Rows of the import are locked meanwhile: the backend waits no longer than this for those it wants to change.
SECONDS = 15.0
NOT_STORED = "The report of this import could not be stored: what does not stand in this result is lost."
_PLAIN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")


async def store_report(ctx: Context[ImportResources], connection: Connection) -> str | None:
    """The address of the file; None when the storage did not take it.

    Args:
        connection: in the transaction that the rows were staged in.
    """
    report = Report()
    async for lines in report_lines(connection):
        report.add(lines)
    data = await asyncio.to_thread(report.data)
    try:
        async with asyncio.timeout(SECONDS):
            return await ctx.resources.storage.upload(data, f"{FOLDER}/{_stem(ctx.task_id)}.csv", "raw")
    except (TaskError, TimeoutError) as error:
        ctx.log.warning("Report not stored", action="import.report_not_stored", error=type(error).__name__)
        return None


def _stem(task_id: str) -> str:
    """Part of a public id, the same in every run: a task id may have any characters, a public id may not."""
    return task_id if _PLAIN_ID.fullmatch(task_id) else hashlib.sha256(task_id.encode()).hexdigest()
