"""What reports are made of: cadets with their grades, attendance, activities. How it looks is the service's."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any

import asyncpg

from rotc.connection import Connection
from rotc.errors import UnknownEntity
from rotc.grading import Grade, GradingRules, Standing, compute_grade
from rotc.people import LARGEST_ID
from rotc.sql import load

SQL = load("reports")
#: Rows of a cursor fetched at once.
PREFETCH = 500


@dataclass(frozen=True, slots=True)
class Heading:
    """Whose report it is, and by which rules grades are computed."""

    battalion: str
    school_year: str
    semester: str
    rules: GradingRules
    #: In all, as attendance is measured.
    training_days: int


@dataclass(frozen=True, slots=True)
class Selection:
    """Which cadets and days; None: any. `search`: part of a name or student id."""

    company: str | None = None
    platoon: str | None = None
    search: str | None = None
    date_from: date | None = None
    date_to: date | None = None


@dataclass(frozen=True, slots=True)
class Graded:
    """One cadet with the grade that is computed of the row."""

    row: asyncpg.Record
    standing: Standing
    grade: Grade


@asynccontextmanager
async def snapshot(connection: Connection) -> AsyncIterator[None]:
    """Everything read inside is of one moment; needed for cursors."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        yield


async def heading(connection: Connection) -> Heading:
    """Raises DamagedGradingRules."""
    rows = await connection.fetch(SQL["report_settings"])
    settings: Mapping[str, str] = {row["key"]: row["value"] for row in rows}
    return Heading(
        settings.get("current_battalion", ""),
        settings.get("school_year", ""),
        settings.get("semester", ""),
        GradingRules.parse(settings.get("grading_rules")),
        await connection.fetchval(SQL["training_day_count"]),
    )


async def graded_cadets(connection: Connection, selection: Selection, head: Heading) -> AsyncIterator[Graded]:
    """Cadets by company, platoon and name, streamed; call it inside `snapshot`."""
    asked = (selection.company, selection.platoon, selection.search)
    async for row in connection.cursor(SQL["graded_cadets"], *asked, prefetch=PREFETCH):
        yield _graded(row, head)


async def cadet_profile(connection: Connection, cadet_id: int, head: Heading) -> Graded:
    """One cadet with every column.

    Raises: UnknownEntity.
    """
    row = await connection.fetchrow(SQL["cadet_profile"], cadet_id) if 0 < cadet_id <= LARGEST_ID else None
    if row is None:
        raise UnknownEntity("cadet", cadet_id)
    return _graded(row, head)


async def attended_days(connection: Connection, cadet_id: int) -> list[asyncpg.Record]:
    """date, title and status of each training day that is recorded of a cadet."""
    return await connection.fetch(SQL["attended_days"], cadet_id)


async def attendance_per_day(connection: Connection, selection: Selection) -> list[asyncpg.Record]:
    """id, date, title, present, late, excused and absent of each training day."""
    return await connection.fetch(SQL["attendance_per_day"], *_attendance(selection))


async def attendance_per_cadet(connection: Connection, selection: Selection) -> AsyncIterator[asyncpg.Record]:
    """The same counts for each cadet, streamed; call it inside `snapshot`."""
    async for row in connection.cursor(SQL["attendance_per_cadet"], *_attendance(selection), prefetch=PREFETCH):
        yield row


async def activity(connection: Connection, activity_id: int) -> asyncpg.Record:
    """id, title, description and date.

    Raises: UnknownEntity.
    """
    row = await connection.fetchrow(SQL["activity"], activity_id) if 0 < activity_id <= LARGEST_ID else None
    if row is None:
        raise UnknownEntity("activity", activity_id)
    return row


def _attendance(selection: Selection) -> tuple[Any, ...]:
    return selection.date_from, selection.date_to, selection.company, selection.platoon


def _graded(row: asyncpg.Record, head: Heading) -> Graded:
    standing = Standing(
        row["attendance_present"], row["merit_points"], row["demerit_points"],
        row["prelim_score"], row["midterm_score"], row["final_score"], row["status"],
    )  # fmt: skip
    return Graded(row, standing, compute_grade(standing, head.training_days, head.rules))
