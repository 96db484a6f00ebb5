"""What all tasks of one notify worker share. Made once, closed once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from muster.settings import Settings
from rotc import push_deliveries, sent_mails
from rotc.service_resources import Effects, Pool, database

from notify_service.mail.mailer import Mailer, configured_mail
from notify_service.push_client import configured_push
from notify_service.push_run import Sends
from notify_service.settings import NotifySettings


def now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class NotifyResources:
    """What a task may use."""

    pool: Pool
    effects: Effects
    settings: NotifySettings
    #: None: web push is not configured.
    push: Sends | None = None
    #: None: no mail server is named.
    mail: Mailer | None = None
    now: Callable[[], datetime] = now


@asynccontextmanager
async def notify_resources(settings: Settings) -> AsyncIterator[NotifyResources]:
    """Entered by the worker before its first task, left after its last.

    Raises:
        ConfigurationError: a setting is missing or wrong.
        StoreError: the database cannot be used; the mail server need not be up.
    """
    own = NotifySettings.from_environment()
    async with database(own) as (pool, effects), configured_push(own) as push, configured_mail(own, now) as mail:
        async with pool.acquire() as connection:
            await push_deliveries.ensure(connection)
            await sent_mails.ensure(connection)
        yield NotifyResources(pool, effects, own, push=push, mail=mail)
