"""The browsers of users, as they subscribe and unsubscribe. Pushing to them is the notify service's."""

from __future__ import annotations

from rotc.connection import Connection
from rotc.errors import UnknownEntity
from rotc.sql import load
from rotc.web_push import Subscription

SQL = load("push_subscriptions")
#: Browsers of one user that are kept: the newest.
MOST_PER_USER = 10


async def subscribe(connection: Connection, user_id: int, subscription: Subscription) -> bool:
    """Remember a browser, checked before by `check_subscription`; True when it is new.

    An endpoint that is known is updated and belongs to this user from then on.

    Raises: UnknownEntity.
    """
    browser = subscription.endpoint, subscription.p256dh, subscription.auth
    async with connection.transaction():
        await connection.execute(SQL["lock_subscriber"], user_id)
        await connection.execute(SQL["lock_endpoint"], subscription.endpoint)
        known = await connection.fetchval(SQL["renew_subscription"], user_id, *browser)
        if known is not None:
            await connection.execute(SQL["drop_doubles"], subscription.endpoint, known)
        elif await connection.fetchval(SQL["add_subscription"], user_id, *browser) is None:
            raise UnknownEntity("user", user_id)
        await connection.execute(SQL["drop_oldest_subscriptions"], user_id, MOST_PER_USER)
    return known is None


async def unsubscribe(connection: Connection, user_id: int, endpoint: str) -> bool:
    """Forget a browser of this user; False when there was none. Doing it twice is no error."""
    return bool(await connection.fetch(SQL["drop_subscription"], user_id, endpoint))
