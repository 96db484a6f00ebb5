"""The notify tasks: parameters in, result out. How it is done is in mail, reminding and domain."""

from __future__ import annotations

from muster.contracts.topics import Lane
from muster.worker.app import TaskApp, minutes
from muster.worker.context import Context
from rotc.errors import UnknownEntity

from notify_service import reminding
from notify_service.params import Cleaned, Cleanup, Reminded, Reminder
from notify_service.resources import NotifyResources, notify_resources

app = TaskApp("notify", resources=notify_resources)
STAFF = ("admin", "training_staff")
ADMIN = ("admin",)
PERMANENT = (UnknownEntity,)


@app.task(permanent=PERMANENT, roles=STAFF, time_limit=minutes(5))
async def send_attendance_reminder(ctx: Context[NotifyResources], params: Reminder) -> Reminded:
    """Put a reminder of a training day into the app of every cadet who is not archived."""
    return Reminded(users_notified=await reminding.remind(ctx, params.training_day_id))


@app.task(roles=ADMIN, time_limit=minutes(60), lane=Lane.BULK)
async def cleanup_old_notifications(ctx: Context[NotifyResources], params: Cleanup) -> Cleaned:
    """Delete notifications that were read and are older than so many days."""
    return Cleaned(deleted=await reminding.clean_up(ctx, params.days))
