"""Opens the channels that are configured here, and closes them. How each sends is in a module of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime

from rotc import push_deliveries
from rotc.service_resources import Pool

from notify_service.alerts.addressing import MANILA
from notify_service.alerts.channels import Webhooks
from notify_service.alerts.delivery import Channel
from notify_service.alerts.mail_channel import Mails
from notify_service.alerts.push_channel import Pushes
from notify_service.alerts.settings import AlertSettings
from notify_service.mail.mailer import configured_mail
from notify_service.push_client import configured_push
from notify_service.settings import NotifySettings


@asynccontextmanager
async def open_channels(own: NotifySettings, alerts: AlertSettings, pool: Pool) -> AsyncIterator[dict[str, Channel]]:
    """By name, for as long as the block lasts; the servers behind them need not be up.

    Raises:
        ConfigurationError: a setting cannot work.
    """
    url = own.notify_public_url
    async with AsyncExitStack() as stack:
        channels: dict[str, Channel] = {"webhook": Webhooks(alerts.hooks, url, MANILA)}
        mailer = await stack.enter_async_context(configured_mail(own, lambda: datetime.now(UTC)))
        if mailer is not None:
            channels["mail"] = Mails(pool, mailer, url, MANILA)
        push = await stack.enter_async_context(configured_push(own))
        if push is not None:
            async with pool.acquire() as connection:
                await push_deliveries.ensure(connection)
            channels["push"] = Pushes(pool, push, url, MANILA)
        yield channels
