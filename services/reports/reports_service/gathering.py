"""Reads what a report is about and puts it as the report wants it. SQL is rotc's, how it looks is domain's."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import asyncpg
import rotc.reports
from muster.contracts.errors import PermanentError
from rotc.connection import Connection
from rotc.grading import GradingRules
from rotc.reports import Graded, Heading, Selection

from reports_service.domain.attendance import AttendanceData, CadetLine, Counts, DayLine
from reports_service.domain.figures import day, full_name
from reports_service.domain.grades import GradeLine, GradesData
from reports_service.domain.letterhead import Unit
from reports_service.domain.sheet import About
from reports_service.settings import ReportsSettings

MANILA = ZoneInfo("Asia/Manila")


class NoRows(PermanentError):
    """Nothing matches: an empty report would look as if there were nobody."""


def unit_of(settings: ReportsSettings, head: Heading) -> Unit:
    semester = f"{head.semester} Semester" if head.semester[:1].isdigit() else head.semester
    term = ", ".join(part for part in (semester, f"S.Y. {head.school_year}" if head.school_year else "") if part)
    return Unit(settings.reports_school, settings.reports_unit, head.battalion or "ROTC Unit", term)


def about(title: str, subject: str, unit: Unit, now: datetime) -> About:
    stamp = f"{now.astimezone(MANILA):%d %b %Y %H:%M} (Asia/Manila)"
    return About(title, subject, f"{unit.name}, {unit.battalion}", stamp)


def name_of(row: asyncpg.Record) -> str:
    return full_name(row["last_name"], row["first_name"], row["middle_name"], row["suffix_name"])


def grade_line(cadet: Graded) -> GradeLine:
    row, standing, grade = cadet.row, cadet.standing, cadet.grade
    return GradeLine(
        row["student_id"], name_of(row), row["company"], row["platoon"],
        standing.attendance_present, standing.merit_points, standing.demerit_points,
        standing.prelim, standing.midterm, standing.final,
        grade.attendance, grade.aptitude, grade.subject, grade.percentage,
        grade.transmuted, grade.letter, grade.remarks,
    )  # fmt: skip


def _distribution(rules: GradingRules, lines: list[GradeLine]) -> dict[str, int]:
    counts = {f"{step.transmuted:.2f}": 0 for step in rules.table}
    for line in lines:
        label = line.remarks if line.transmuted is None else f"{line.transmuted:.2f}"
        counts[label] = counts.get(label, 0) + 1
    return counts


async def grades_data(
    connection: Connection, selection: Selection, settings: ReportsSettings, now: datetime
) -> GradesData:
    """Raises NoRows, DamagedGradingRules."""
    async with rotc.reports.snapshot(connection):
        head = await rotc.reports.heading(connection)
        lines = [grade_line(cadet) async for cadet in rotc.reports.graded_cadets(connection, selection, head)]
    if not lines:
        raise NoRows("No cadet matches these filters.")
    unit, rules = unit_of(settings, head), head.rules
    return GradesData(
        about("Grades Report", f"Grades of {len(lines)} cadets", unit, now), unit, scope_of(selection),
        head.training_days, (rules.attendance, rules.aptitude, rules.subject), _distribution(rules, lines), lines,
        frozenset(f"{step.transmuted:.2f}" for step in rules.table if not step.passed),
    )  # fmt: skip


async def attendance_data(
    connection: Connection, selection: Selection, settings: ReportsSettings, now: datetime
) -> AttendanceData:
    """Raises NoRows."""
    async with rotc.reports.snapshot(connection):
        head = await rotc.reports.heading(connection)
        days = await rotc.reports.attendance_per_day(connection, selection)
        cadets = [
            CadetLine(row["student_id"], name_of(row), row["company"], row["platoon"], counts_of(row))
            async for row in rotc.reports.attendance_per_cadet(connection, selection)
        ]
    if not days:
        raise NoRows("No training day lies between these dates.")
    if not cadets:
        raise NoRows("No attendance is recorded for these filters.")
    unit = unit_of(settings, head)
    title = about("Attendance Report", f"Attendance on {len(days)} training days", unit, now)
    scope = scope_of(selection, days[0]["date"], days[-1]["date"])
    return AttendanceData(title, unit, scope, [day_line(row) for row in days], cadets)


def day_line(row: asyncpg.Record) -> DayLine:
    return DayLine(row["date"], row["title"], counts_of(row))


def counts_of(row: asyncpg.Record) -> Counts:
    return Counts(row["present"], row["late"], row["excused"], row["absent"])


def scope_of(selection: Selection, first: datetime | None = None, last: datetime | None = None) -> str:
    """What was asked for, in words."""
    asked = [selection.company or "all companies"]
    asked += [selection.platoon] if selection.platoon else []
    asked += [f"“{selection.search}”"] if selection.search else []
    if first and last:
        asked.insert(0, day(first) if first == last else f"{day(first)} – {day(last)}")
    text = ", ".join(asked)
    return text[0].upper() + text[1:]


def generated_at(now: datetime) -> datetime:
    return now.astimezone(UTC)
