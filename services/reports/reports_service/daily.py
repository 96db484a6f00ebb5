"""The attendance of one day, with its numbers told to every admin once. Drawing it is domain's."""

from __future__ import annotations

import datetime

import asyncpg
import rotc.notifications
import rotc.reports
from muster.worker.context import Context
from rotc.connection import Connection

from reports_service.domain.attendance import AttendanceData, render_attendance
from reports_service.domain.figures import day
from reports_service.gathering import MANILA, about, day_line, unit_of
from reports_service.params import DailyReport, DayCounts
from reports_service.rendering import render_report
from reports_service.resources import ReportsResources
from reports_service.storing import FOLDER, file_stem, written_earlier

NOTIFICATION = "daily_report"
_COUNTS = ("present", "absent", "late", "excused")


async def report_day(ctx: Context[ReportsResources], date: datetime.date | None) -> DailyReport:
    """Count, draw, upload and tell; for a date without training days, nothing is drawn and nobody is told."""
    earlier = await written_earlier(ctx, "report")
    if earlier is not None:
        return DailyReport.model_validate(earlier)
    asked = date or ctx.resources.now().astimezone(MANILA).date()
    async with ctx.resources.pool.acquire() as connection:
        head = await rotc.reports.heading(connection)
        days = await rotc.reports.attendance_per_day(connection, rotc.reports.Selection(date_from=asked, date_to=asked))
    if not days:
        return DailyReport(date=asked, training_days=[], url=None)
    unit = unit_of(ctx.resources.settings, head)
    title = about("Daily Attendance Report", f"Attendance on {asked}", unit, ctx.resources.now())
    drawn = await render_report(
        ctx, render_attendance, AttendanceData(title, unit, day(asked), [day_line(row) for row in days], ())
    )
    name = f"{FOLDER}/daily_attendance_{file_stem(ctx.task_id, 'report')}.pdf"
    url = await ctx.resources.storage.upload(drawn.data, name, "raw")
    return await _tell(ctx, DailyReport(date=asked, training_days=[_counts(row) for row in days], url=url))


async def _tell(ctx: Context[ReportsResources], report: DailyReport) -> DailyReport:
    async with ctx.resources.effects.once(ctx.task_id, "report") as effect:
        if effect.done:
            return DailyReport.model_validate(effect.result)
        audited = {"report_type": "daily_attendance", "task_id": ctx.task_id, "rows": len(report.training_days)}
        await rotc.notifications.audit_report(effect.connection, ctx.submitter, audited)
        await _tell_admins_once(ctx, report)
        effect.finish(report.model_dump(mode="json"))
    return report


async def _tell_admins_once(ctx: Context[ReportsResources], report: DailyReport) -> None:
    """Guarded by the date, not by the task: a report that is made again is no news."""
    async with ctx.resources.effects.once(f"daily-attendance:{report.date}", "admins") as effect:
        if not effect.done:
            await _notify(effect.connection, report)
            effect.finish()


async def _notify(connection: Connection, report: DailyReport) -> None:
    told = [f"Daily attendance report for {report.date}:"]
    for one in report.training_days:
        counts = ", ".join(f"{getattr(one, name)} {name}" for name in _COUNTS)
        told.append(f"{one.title}: {one.total} recorded, {counts}.")
    await rotc.notifications.notify_approved_admins(connection, " ".join([*told, str(report.url)]), NOTIFICATION)


def _counts(row: asyncpg.Record) -> DayCounts:
    counts = {name: row[name] for name in _COUNTS}
    return DayCounts(id=row["id"], title=row["title"], total=sum(counts.values()), **counts)
