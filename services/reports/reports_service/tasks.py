"""The reports tasks: parameters in, result out. How it is done is in storing, batch, daily and domain."""

from __future__ import annotations

import rotc.notifications
from muster.worker.app import TaskApp, minutes
from muster.worker.context import Context
from rotc.connection import Connection

from reports_service.batch import CERTIFICATES, PROFILES, RETRY, make_batch
from reports_service.daily import report_day
from reports_service.params import (
    BatchCertificates,
    BatchProfiles,
    BatchResult,
    DailyAttendance,
    DailyReport,
    Filters,
    GenerateReport,
    Report,
)
from reports_service.people import require_staff
from reports_service.resources import ReportsResources, reports_resources
from reports_service.storing import PERMANENT, Wanted, make_report

app = TaskApp("reports", resources=reports_resources)
STAFF = ("admin", "training_staff")


@app.task(permanent=PERMANENT, roles=STAFF, time_limit=minutes(10))
async def generate_pdf_report(ctx: Context[ReportsResources], params: GenerateReport) -> Report:
    """Make one PDF (cadet_profile, grades, attendance or certificate), store it, and send its link to the requester."""
    await require_staff(ctx, params.user_id)

    async def tell(connection: Connection, report: Report) -> None:
        words = f"Your {report.report_type.replace('_', ' ')} report is ready: {report.url}"
        await rotc.notifications.notify_user(connection, params.user_id, words, "report_complete")

    return await make_report(ctx, Wanted(params.report_type, params.filters, params.user_id), tell)


@app.task(permanent=PERMANENT, roles=STAFF, retry=RETRY, time_limit=minutes(30))
async def batch_generate_cadet_pdfs(ctx: Context[ReportsResources], params: BatchProfiles) -> BatchResult:
    """Make the profiles of up to 100 cadets; one that cannot be made does not fail the others."""
    await require_staff(ctx, params.user_id)
    wanted = [
        Wanted("cadet_profile", Filters(cadet_id=cadet_id), params.user_id, f"cadet-{index}")
        for index, cadet_id in enumerate(params.cadet_ids)
    ]
    return await make_batch(ctx, wanted, PROFILES)


@app.task(permanent=PERMANENT, roles=STAFF, retry=RETRY, time_limit=minutes(30))
async def batch_generate_certificates(ctx: Context[ReportsResources], params: BatchCertificates) -> BatchResult:
    """Make the certificates of up to 100 cadets for one activity; one that cannot be made does not fail the others."""
    await require_staff(ctx, params.user_id)
    wanted = [
        Wanted("certificate", Filters(activity_id=params.activity_id, cadet_name=name), params.user_id, f"name-{index}")
        for index, name in enumerate(params.cadet_names)
    ]
    return await make_batch(ctx, wanted, CERTIFICATES)


@app.task(permanent=PERMANENT, roles=STAFF, time_limit=minutes(10))
async def generate_daily_attendance_report(ctx: Context[ReportsResources], params: DailyAttendance) -> DailyReport:
    """Make the attendance report of one day, today in Asia/Manila when none is named, and tell every admin once."""
    return await report_day(ctx, params.date)
