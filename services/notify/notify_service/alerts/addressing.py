"""Says to whom an alert goes, in the transaction that writes it. The sending is delivery.py's."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from zoneinfo import ZoneInfo

import msgspec
import rotc.alerts as tables
from rotc.connection import Connection
from rotc.notifications import notify_approved_admins

from notify_service.domain.alert_text import words
from notify_service.domain.alerting import Alert

#: `notifications.type`, as the backend has it.
NOTIFICATION = "task_failure"
MANILA = ZoneInfo("Asia/Manila")
_SETTINGS = {"mail": "email_alerts", "push": "push_notifications"}

encode_facts = msgspec.json.encode
decode_facts = msgspec.json.Decoder(Alert).decode


class Addressing:
    """The channels of this installation."""

    def __init__(
        self, ways: Collection[str], hooks: Mapping[str, tuple[str, str]], public_url: str, expire_seconds: float
    ) -> None:
        """`ways`: the channels that are configured here; of mail and push, nobody is addressed by another one."""
        self._ways = _SETTINGS.keys() & set(ways)
        self._hooks = hooks
        self._public_url = public_url
        self._expire = expire_seconds

    async def write(self, connection: Connection, alert: Alert) -> None:
        """The alert, its notification rows and its deliveries; nothing when it is there already."""
        facts = encode_facts(alert).decode()
        if not await tables.write_alert(connection, alert.id, alert.kind, alert.severity, alert.group, facts, alert.at):
            return
        for channel in alert.channels:
            if channel == "notification":
                line = words(alert, self._public_url, MANILA).line
                await notify_approved_admins(connection, line, NOTIFICATION)
            elif channel in self._ways:
                await tables.address_admins(connection, alert.id, channel, self._expire, _SETTINGS[channel])
        await tables.address_hooks(connection, alert.id, self.reached(alert.channels), self._expire)

    def reached(self, channels: Iterable[str]) -> list[str]:
        """The webhooks behind these channels."""
        names = {channel.partition(":")[2] for channel in channels if channel.startswith("webhook")}
        return [digest for digest, (name, _) in self._hooks.items() if name in names]
