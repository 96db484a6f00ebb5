"""A workbook is opened in a real child process: what goes there, and what comes back, can travel."""

from __future__ import annotations

import asyncio
import concurrent.futures
import io
import multiprocessing

import openpyxl
import pytest
from import_service.domain.csv_table import read_table
from import_service.domain.file_refusals import UnsupportedFile
from import_service.domain.workbook import workbook_to_csv
from import_service.targets import TABLES


async def test_sheets_and_refusals_come_back_from_a_child() -> None:
    book = openpyxl.Workbook()
    assert book.active is not None
    book.active.append(["Student ID", "Time In", "Training Day", "Status"])
    book.active.append(["2026-1", 0.3125, 1, "P"])
    file = io.BytesIO()
    book.save(file)
    entity = TABLES["attendance"].entity
    spawned = multiprocessing.get_context("spawn")
    loop = asyncio.get_running_loop()

    with concurrent.futures.ProcessPoolExecutor(1, mp_context=spawned) as child:
        text = await loop.run_in_executor(child, workbook_to_csv, file.getvalue(), entity)
        with pytest.raises(UnsupportedFile, match="no Excel workbook"):
            await loop.run_in_executor(child, workbook_to_csv, b"PK\x05\x06" + bytes(18), entity)

    [row] = read_table(text, entity).rows
    assert row.values == {"student_id": "2026-1", "time_in": "07:30:00", "training_day_id": "1", "status": "P"}
