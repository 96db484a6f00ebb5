"""The push tasks' work: who is meant, the rows the app lists, the run over the browsers, the counts at the end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from muster.contracts.errors import PermanentError, Retry
from muster.contracts.retry import RetryPolicy
from muster.worker.context import Context
from rotc import push_deliveries
from rotc.errors import UnknownEntity
from rotc.push_deliveries import Audience

from notify_service.domain.push_answers import Leftover, Outcome
from notify_service.domain.push_message import build_payload
from notify_service.push_params import BroadcastPush, PushesResult, SendPush, SendPushes
from notify_service.push_run import Push, PushRun
from notify_service.resources import NotifyResources

RETRY = RetryPolicy()
#: notifications.type of what is pushed without a notification of its own.
NOTIFICATION = "general_update"


class PushNotConfigured(PermanentError):
    """There is no VAPID key pair: no push service would take anything."""


class PushRefused(PermanentError):
    """The push services do not believe our VAPID key."""


@dataclass(frozen=True)
class Words:
    """What is said: as a push, and as a row of what the app lists."""

    title: str
    body: str
    data: Mapping[str, Any] | None = None
    kind: str = NOTIFICATION
    #: users.id of who has the row already.
    listed_by: int | None = None

    @property
    def listed(self) -> str:
        """Rows have no title of their own; a text that is listed already stays as it is."""
        return f"{self.title}: {self.body}" if self.listed_by is None else self.body


async def push_to_user(ctx: Context[NotifyResources], asked: SendPush) -> PushesResult:
    """One person, who has to exist."""
    result = await push(ctx, Audience((asked.user_id,)), Words(asked.title, asked.message, asked.data))
    if not result.total_users:
        raise UnknownEntity("user", asked.user_id)
    return result


async def push_to_users(ctx: Context[NotifyResources], asked: SendPushes) -> PushesResult:
    """Those of the people named that exist."""
    audience = Audience(tuple(dict.fromkeys(asked.user_ids)))
    if asked.notification_id is None:
        return await push(ctx, audience, Words(asked.title or "", asked.message or ""))
    async with ctx.resources.pool.acquire() as connection:
        found = await push_deliveries.notification(connection, asked.notification_id)
    if found is None:
        raise UnknownEntity("notification", asked.notification_id)
    owner, body, kind = found
    title = asked.title or kind.replace("_", " ").capitalize()
    return await push(ctx, audience, Words(title, body, kind=kind, listed_by=owner))


async def broadcast(ctx: Context[NotifyResources], asked: BroadcastPush) -> PushesResult:
    """Everybody who is approved, or those of one role."""
    audience = Audience(approved_only=True, role=asked.role)
    return await push(ctx, audience, Words(asked.title, asked.message))


async def push(ctx: Context[NotifyResources], audience: Audience, words: Words) -> PushesResult:
    """Tell these people; run again, it goes on where the run before ended.

    Raises:
        Retry: pushes are open that are worth another try, and there is one.
        PushNotConfigured, PushRefused, UnusablePush: nobody can be pushed to.
    """
    client = ctx.resources.push
    if client is None:
        raise PushNotConfigured("web push is not configured: set VAPID_PUBLIC_KEY, VAPID_PRIVATE_KEY, VAPID_SUBJECT")
    payload = build_payload(words.title, words.body, words.data)
    if (ended := await _ended(ctx)) is not None:
        return ended
    total_users, newest = await _open(ctx, audience, words)
    run = PushRun(ctx.resources.pool, client, Push(ctx.task_id, payload, audience, newest), ctx.progress)
    leftover = await run.run()
    if leftover.later and ctx.attempt < RETRY.max_attempts:
        raise Retry(f"{leftover.later} pushes could not be delivered yet", after=leftover.after)
    return await _close(ctx, total_users, leftover)


async def _open(ctx: Context[NotifyResources], audience: Audience, words: Words) -> tuple[int, int]:
    """List the notification, and fix once for all runs who is meant: how many people, and up to which browser."""
    async with ctx.resources.effects.once(ctx.task_id, "push-begun") as effect:
        if not effect.done:
            connection = effect.connection
            users = await push_deliveries.count_audience(connection, audience)
            newest = await push_deliveries.newest_subscription(connection)
            await push_deliveries.notify_audience(
                connection, audience, words.listed, words.kind, besides=words.listed_by
            )
            effect.finish([users, newest])
            return users, newest
        users, newest = effect.result
        return users, newest


class _NotYet(Exception):
    """Rolls back a transaction that was opened only to look."""


async def _ended(ctx: Context[NotifyResources]) -> PushesResult | None:
    """The result of an earlier run that came to its end, and kept no record of single browsers."""
    try:
        async with ctx.resources.effects.once(ctx.task_id, "push-ended") as effect:
            if not effect.done:
                raise _NotYet
            return PushesResult.model_validate(effect.result)
    except _NotYet:
        return None


async def _close(ctx: Context[NotifyResources], total_users: int, leftover: Leftover) -> PushesResult:
    async with ctx.resources.effects.once(ctx.task_id, "push-ended") as effect:
        if effect.done:
            return PushesResult.model_validate(effect.result)
        counts = await push_deliveries.count_deliveries(effect.connection, ctx.task_id)
        if leftover.unproved and not counts.get(Outcome.SENT):
            raise PushRefused(
                f"push services refused our VAPID key for {leftover.unproved} browsers: they subscribed with another "
                "one, or the clock of this machine is wrong"
            )
        result = PushesResult(
            total_users=total_users,
            sent=counts.get(Outcome.SENT, 0),
            failed=counts.get(Outcome.FAILED, 0) + leftover.later + leftover.unproved,
            expired=counts.get(Outcome.EXPIRED, 0),
        )
        await push_deliveries.forget(effect.connection, ctx.task_id)
        effect.finish(result.model_dump())
    return result
