"""How an alert leaves by a webhook, through the library apprise. Mail and push have modules of their own."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from zoneinfo import ZoneInfo

import apprise

from notify_service.alerts.delivery import Later, Refused, Taken
from notify_service.domain.alert_text import words
from notify_service.domain.alerting import Alert, Kind

_TYPES = {
    "info": apprise.NotifyType.INFO,
    "warning": apprise.NotifyType.WARNING,
    "error": apprise.NotifyType.FAILURE,
    "critical": apprise.NotifyType.FAILURE,
}


def silence_addresses() -> None:
    """The lines of apprise and of the client below it name addresses, which hold tokens, at any LOG_LEVEL."""
    for name in ("apprise", "urllib3"):
        log = logging.getLogger(name)
        log.handlers[:] = [logging.NullHandler()]
        log.setLevel(logging.CRITICAL)
        log.propagate = False


class Webhooks:
    """The addresses of ALERT_URLS, by the digests under which deliveries are kept."""

    def __init__(self, hooks: Mapping[str, tuple[str, str]], public_url: str, zone: ZoneInfo) -> None:
        self._hooks = hooks
        self._public_url = public_url
        self._zone = zone
        silence_addresses()

    async def send(self, alert: Alert, recipient: str, taken: Taken) -> None:
        """Raises Later, Refused."""
        if recipient not in self._hooks:
            raise Refused("the webhook is not configured any more")
        told = words(alert, self._public_url, self._zone)
        target = apprise.Apprise()
        if not target.add(self._hooks[recipient][1]):
            raise Refused("apprise does not know this kind of address")
        kind = apprise.NotifyType.SUCCESS if alert.kind is Kind.RECOVERY else _TYPES[alert.severity]
        if not await target.async_notify(title=told.subject, body=told.text, notify_type=kind):
            raise Later("the webhook did not take it")
        await taken()
