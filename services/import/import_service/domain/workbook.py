"""Turns the first sheet of an Excel workbook into CSV text, safe against ZIP and XML bombs. Rows are csv_table's.

A row at a time is in memory, and the workbook's repeated texts. Seconds of work for a large one: run it in a child.
"""

from __future__ import annotations

import csv
import io
import warnings
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta

import openpyxl
from openpyxl.utils.datetime import from_excel
from openpyxl.workbook import Workbook

from import_service.domain.columns import Kind
from import_service.domain.entity import Entity, normal
from import_service.domain.file_refusals import DamagedFile, EmptyFile, FileTooLarge, RefusedFile
from import_service.domain.limits import MAX_COLUMNS, MAX_ROWS, MAX_TEXT, TITLE_ROWS
from import_service.domain.parcel import DAMAGED, check_parcel

_LAST_ROW = 1_048_576  # of any sheet
_LAST_SERIAL = 2_958_465  # the 31st of December 9999
_MIDNIGHT = datetime(2000, 1, 1)  # noqa: DTZ001  of any day


def workbook_to_csv(data: bytes, entity: Entity) -> bytes:
    """The cells of the first sheet as UTF-8, comma-separated; an empty row stays an empty line.

    Raises: RefusedFile.
    """
    try:
        check_parcel(data)
        with warnings.catch_warnings():
            # It warns of styles and extensions it does not know; a person has no use for that.
            warnings.simplefilter("ignore")
            workbook = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True, keep_links=False)
            try:
                return _first_sheet(workbook, entity)
            finally:
                workbook.close()
    except RefusedFile:
        raise
    except DAMAGED as error:
        raise DamagedFile("The workbook is cut off or damaged: save it again as .xlsx.") from error


def _first_sheet(workbook: Workbook, entity: Entity) -> bytes:
    sheets = [sheet for sheet in workbook.worksheets if sheet.sheet_state == "visible"]
    if not sheets:
        raise EmptyFile("The workbook has no sheet with cells.")
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    titles, day_columns = 0, frozenset[int]()
    # What the sheet says of its own size is not asked: some programs write A1 whatever there is.
    rows = sheets[0].iter_rows(min_row=1, max_row=_LAST_ROW, min_col=1, max_col=MAX_COLUMNS + 1, values_only=True)
    for number, cells in enumerate(rows, start=1):
        if cells.count(None) == len(cells):
            out.write("\n")
            continue
        filled = _trimmed(cells)
        if number > MAX_ROWS + 1:
            raise FileTooLarge(f"The sheet has more than {MAX_ROWS:,} rows: split it.")
        writer.writerow([_cell(cell, place in day_columns, workbook.epoch) for place, cell in enumerate(filled)])
        titles += 1
        if not day_columns and titles <= TITLE_ROWS:
            day_columns = _day_columns(filled, entity)
        if out.tell() > MAX_TEXT:
            raise FileTooLarge(f"The cells of the workbook have more than {MAX_TEXT:,} characters: split it.")
    return out.getvalue().encode()


def _trimmed(cells: Sequence[object]) -> Sequence[object]:
    end = len(cells)
    while end and cells[end - 1] is None:
        end -= 1
    return cells[:end]


def _day_columns(header: Sequence[object], entity: Entity) -> frozenset[int]:
    """Places of the columns of dates and times: a bare number there is what Excel counts days with."""
    days = (Kind.DATE, Kind.TIME)

    def is_day(cell: object) -> bool:
        column = entity.names.get(normal(_text(cell)))
        return column is not None and column.kind in days

    return frozenset(place for place, cell in enumerate(header) if is_day(cell))


def _cell(value: object, is_day: bool, epoch: datetime) -> str:
    if is_day and isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _LAST_SERIAL:
        return _text(from_excel(value, epoch))
    return _text(value)


def _text(value: object) -> str:
    """A cell as a person would have typed it into CSV."""
    match value:
        case None:
            return ""
        case bool():
            return "TRUE" if value else "FALSE"
        case float() if value.is_integer():
            return str(int(value))
        case datetime():
            midnight = value.time() == time()
            return value.date().isoformat() if midnight else value.isoformat(" ", "seconds")
        case date():
            return value.isoformat()
        case time():
            return value.isoformat("seconds")
        case timedelta():
            return (_MIDNIGHT + value).time().isoformat("seconds")
    return str(value)
