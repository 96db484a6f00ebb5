"""From what a report is about to its link: which step comes when, and what a repeated run leaves out."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

import rotc.notifications
from muster.worker.context import Context
from rotc import issued_certificates
from rotc.connection import Connection
from rotc.errors import DamagedGradingRules, UnknownEntity
from rotc.reports import Selection

from reports_service.domain.attendance import render_attendance
from reports_service.domain.certificate import render_certificate
from reports_service.domain.document import Rendered
from reports_service.domain.grades import render_grades
from reports_service.domain.profile import render_profile
from reports_service.gathering import attendance_data, generated_at, grades_data
from reports_service.papers import certificate_data, fetch_photo, profile_data
from reports_service.params import Filters, Report, ReportType
from reports_service.rendering import render_report
from reports_service.resources import ReportsResources

#: Failures that the same parameters meet every time (besides muster's own PermanentError).
PERMANENT = (UnknownEntity, DamagedGradingRules)
FOLDER = "rotc/reports"
_PLAIN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
#: What is written in the transaction of the report's guard, besides the guard.
Written = Callable[[Connection, Report], Awaitable[None]]


@dataclass(frozen=True)
class Wanted:
    """One report: of which type, about what, for whom; `name` tells it from others of the task."""

    report_type: ReportType
    filters: Filters
    user_id: int
    name: str = "report"


async def _nothing(connection: Connection, report: Report) -> None:
    """A report of a batch: its requester hears of the batch."""


async def make_report(ctx: Context[ReportsResources], wanted: Wanted, also: Written = _nothing) -> Report:
    """Draw, upload and note one report; run again, it gives the result of the run that was written down."""
    earlier = await written_earlier(ctx, wanted.name)
    if earlier is not None:
        return Report.model_validate(earlier)
    now = ctx.resources.now()
    rendered, note = await _render(ctx, wanted)
    public_id = f"{FOLDER}/{wanted.report_type}_{file_stem(ctx.task_id, wanted.name)}.pdf"
    url = await ctx.resources.storage.upload(rendered.data, public_id, "raw")
    report = Report(
        url=url, public_id=public_id, report_type=wanted.report_type, pages=rendered.pages, rows=rendered.rows,
        generated_at=generated_at(now),
    )  # fmt: skip
    async with ctx.resources.effects.once(ctx.task_id, wanted.name) as effect:
        if effect.done:
            return Report.model_validate(effect.result)
        await note(effect.connection)
        audited = {"report_type": report.report_type, "task_id": ctx.task_id, "rows": report.rows}
        await rotc.notifications.audit_report(effect.connection, wanted.user_id, audited)
        await also(effect.connection, report)
        effect.finish(report.model_dump(mode="json"))
    return report


Note = Callable[[Connection], Awaitable[None]]


async def _no_note(connection: Connection) -> None:
    """Only certificates are remembered."""


async def _render(ctx: Context[ReportsResources], wanted: Wanted) -> tuple[Rendered, Note]:
    match wanted.report_type:
        case "grades":
            return await _grades(ctx, wanted.filters), _no_note
        case "attendance":
            return await _attendance(ctx, wanted.filters), _no_note
        case "cadet_profile":
            return await _profile(ctx, wanted.filters), _no_note
        case "certificate":
            return await _certificate(ctx, wanted.filters)


# A connection is lent for reading only: drawing and uploading may take long.


async def _grades(ctx: Context[ReportsResources], filters: Filters) -> Rendered:
    resources = ctx.resources
    async with resources.pool.acquire() as connection:
        data = await grades_data(connection, _selection(filters), resources.settings, resources.now())
    return await render_report(ctx, render_grades, data)


async def _attendance(ctx: Context[ReportsResources], filters: Filters) -> Rendered:
    resources = ctx.resources
    async with resources.pool.acquire() as connection:
        data = await attendance_data(connection, _selection(filters), resources.settings, resources.now())
    return await render_report(ctx, render_attendance, data)


async def _profile(ctx: Context[ReportsResources], filters: Filters) -> Rendered:
    resources = ctx.resources
    async with resources.pool.acquire() as connection:
        data, photo = await profile_data(connection, filters.cadet_id or 0, resources.settings, resources.now())
    return await render_report(ctx, render_profile, replace(data, photo=await fetch_photo(ctx, photo)))


async def _certificate(ctx: Context[ReportsResources], filters: Filters) -> tuple[Rendered, Note]:
    resources, name = ctx.resources, filters.cadet_name or ""
    async with resources.pool.acquire() as connection:
        data, certificate, code = await certificate_data(
            connection, filters.activity_id or 0, name, resources.settings, resources.now()
        )

    async def note(connection: Connection) -> None:
        await issued_certificates.remember(connection, code, certificate)

    return await render_report(ctx, render_certificate, data), note


def _selection(filters: Filters) -> Selection:
    return Selection(filters.company, filters.platoon, filters.search, filters.date_from, filters.date_to)


def file_stem(task_id: str, name: str) -> str:
    """Part of a public id, the same in every run: a task id may have any characters, a public id may not."""
    plain = task_id if _PLAIN_ID.fullmatch(task_id) else hashlib.sha256(task_id.encode()).hexdigest()
    return plain if name == "report" else f"{plain}_{name}"


class _NotYet(Exception):
    """Rolls back a transaction that was opened only to look."""


async def written_earlier(ctx: Context[ReportsResources], name: str) -> Any | None:
    """The result an earlier run of this task wrote down; None when there is none."""
    try:
        async with ctx.resources.effects.once(ctx.task_id, name) as effect:
            if not effect.done:
                raise _NotYet
            return effect.result
    except _NotYet:
        return None
