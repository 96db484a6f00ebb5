"""The notify tasks: parameters in, result out. How it is done is in mail, pushing, reminding and domain."""

from __future__ import annotations

from muster.contracts.topics import Lane
from muster.worker.app import TaskApp, minutes
from muster.worker.context import Context
from rotc.errors import UnknownEntity

from notify_service import pushing, reminding
from notify_service.domain.push_message import UnusablePush
from notify_service.mail import many, one
from notify_service.mail.params import Mailed, MailsResult, SendGrade, SendLetterStatus, SendMail, SendMails
from notify_service.params import Cleaned, Cleanup, Reminded, Reminder
from notify_service.people import require_staff
from notify_service.push_params import BroadcastPush, BroadcastResult, PushesResult, PushResult, SendPush, SendPushes
from notify_service.resources import NotifyResources, notify_resources

app = TaskApp("notify", resources=notify_resources)
STAFF = ("admin", "training_staff")
ADMIN = ("admin",)
PERMANENT = (UnknownEntity, UnusablePush)


@app.task(permanent=PERMANENT, roles=STAFF, time_limit=minutes(5))
async def send_email_notification(ctx: Context[NotifyResources], params: SendMail) -> Mailed:
    """Mail a text to one address, unless its owner has turned mail alerts off."""
    await require_staff(ctx)
    return await one.send_message(ctx, params)


@app.task(permanent=PERMANENT, roles=STAFF, retry=many.RETRY, time_limit=minutes(30), lane=Lane.BULK)
async def send_bulk_email_notifications(ctx: Context[NotifyResources], params: SendMails) -> MailsResult:
    """Mail a text to up to 1,000 addresses, one mail each; one that cannot be reached does not fail the others."""
    await require_staff(ctx)
    return await many.send_messages(ctx, params)


@app.task(permanent=PERMANENT, roles=STAFF, time_limit=minutes(5))
async def send_grade_update_email(ctx: Context[NotifyResources], params: SendGrade) -> Mailed:
    """Mail a cadet that a grade was updated."""
    await require_staff(ctx)
    return await one.send_grade(ctx, params)


@app.task(permanent=PERMANENT, roles=STAFF, time_limit=minutes(5))
async def send_excuse_letter_status_email(ctx: Context[NotifyResources], params: SendLetterStatus) -> Mailed:
    """Mail a cadet that an excuse letter was approved or rejected."""
    await require_staff(ctx)
    return await one.send_letter_status(ctx, params)


@app.task(permanent=PERMANENT, roles=STAFF, time_limit=minutes(5))
async def send_attendance_reminder(ctx: Context[NotifyResources], params: Reminder) -> Reminded:
    """Put a reminder of a training day into the app of every cadet who is not archived."""
    await require_staff(ctx)
    return Reminded(users_notified=await reminding.remind(ctx, params.training_day_id))


@app.task(roles=ADMIN, time_limit=minutes(60), lane=Lane.BULK)
async def cleanup_old_notifications(ctx: Context[NotifyResources], params: Cleanup) -> Cleaned:
    """Delete notifications that were read and are older than so many days."""
    return Cleaned(deleted=await reminding.clean_up(ctx, params.days))


@app.task(permanent=PERMANENT, roles=STAFF, retry=pushing.RETRY, time_limit=minutes(5))
async def send_push_notification(ctx: Context[NotifyResources], params: SendPush) -> PushResult:
    """Tell one person, on every browser that person subscribed with; the app lists it too."""
    await require_staff(ctx)
    result = await pushing.push_to_user(ctx, params)
    return PushResult(sent=result.sent, failed=result.failed, expired_subscriptions=result.expired)


@app.task(permanent=PERMANENT, roles=STAFF, retry=pushing.RETRY, time_limit=minutes(30))
async def send_push_notifications(ctx: Context[NotifyResources], params: SendPushes) -> PushesResult:
    """Tell several people: of a notification there is, or with a title and a message."""
    await require_staff(ctx)
    return await pushing.push_to_users(ctx, params)


@app.task(permanent=PERMANENT, roles=STAFF, retry=pushing.RETRY, time_limit=minutes(30))
async def send_broadcast_push_notification(ctx: Context[NotifyResources], params: BroadcastPush) -> BroadcastResult:
    """Tell everybody who is approved, or everybody of one role."""
    await require_staff(ctx)
    result = await pushing.broadcast(ctx, params)
    return BroadcastResult(role=params.role, **result.model_dump())
