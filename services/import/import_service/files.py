"""Gets the rows of a file, however it was sent: CSV as it is, a workbook turned into CSV in a child process.

A file is walked twice, first to count its rows and to meet whatever makes it unreadable, before anything is staged.
"""

from __future__ import annotations

import asyncio

import rotc.sources
from muster.worker.context import Context
from muster.worker.files import FileReference

from import_service.domain.csv_table import read_table
from import_service.domain.entity import Entity
from import_service.domain.filetypes import kind_of
from import_service.domain.limits import MAX_BYTES
from import_service.domain.workbook import workbook_to_csv
from import_service.resources import ImportResources
from import_service.sources import Rows


async def file_rows(ctx: Context[ImportResources], file: str | FileReference, entity: Entity) -> Rows:
    """Raises: RefusedFile; what fetching a file raises."""
    if isinstance(file, FileReference):
        data = await ctx.fetch(file, max_bytes=MAX_BYTES)
    else:
        data = await rotc.sources.load(file, ctx.resources.fetcher, max_bytes=MAX_BYTES)
    if kind_of(data) == "workbook":
        await ctx.progress(0, None, "opening the workbook")
        data = await ctx.compute(workbook_to_csv, data, entity)
    total = await asyncio.to_thread(_count, data, entity)
    table = read_table(data, entity)
    return Rows(total, table.rows, table.warnings)


def _count(data: bytes, entity: Entity) -> int:
    return sum(1 for _ in read_table(data, entity).rows)
