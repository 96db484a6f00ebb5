"""How an alert reaches an admin's browsers: as any push does, each browser once. When, is delivery.py's."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from rotc import push_deliveries
from rotc.push_deliveries import Audience
from rotc.service_resources import Pool

from notify_service.alerts.delivery import Later, Refused, Taken
from notify_service.domain.alert_text import words
from notify_service.domain.alerting import Alert
from notify_service.domain.push_answers import Outcome
from notify_service.domain.push_message import build_payload
from notify_service.push_run import Push, PushRun, Sends

#: The severities that stay on the screen until somebody looks.
_STAYING = frozenset({"error", "critical"})


class Pushes:
    """The browsers of approved admins."""

    def __init__(self, pool: Pool, client: Sends, public_url: str, zone: ZoneInfo) -> None:
        self._pool = pool
        self._client = client
        self._public_url = public_url
        self._zone = zone

    async def send(self, alert: Alert, recipient: str, taken: Taken) -> None:
        """Raises Later, Refused."""
        user_id = int(recipient.removeprefix("user:"))
        told = words(alert, self._public_url, self._zone)
        payload = build_payload(told.subject, told.brief, {"requireInteraction": alert.severity in _STAYING})
        key, audience = f"alert:{alert.id}:{user_id}", Audience((user_id,), approved_only=True)
        async with self._pool.acquire() as connection:
            newest = await push_deliveries.newest_subscription(connection)
        leftover = await PushRun(self._pool, self._client, Push(key, payload, audience, newest), _unseen).run()
        if leftover.later:
            raise Later(f"{leftover.later} browsers could not be reached yet")
        async with self._pool.acquire() as connection:
            counts = await push_deliveries.count_deliveries(connection, key)
            await push_deliveries.forget(connection, key)
        if leftover.unproved and not counts.get(Outcome.SENT):
            raise Refused("push services do not believe our VAPID key")
        await taken()


async def _unseen(done: float, total: float | None, message: str) -> None:
    """Nobody looks at the progress of an alert."""
