"""Sends what is addressed, until it is delivered, refused or too old. How each channel sends is channels.py's."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

import rotc.alerts as tables
from muster.adapters.postgres import DATABASE_FAILURES
from muster.observability.logging import get_logger
from muster.observability.metrics import ALERT_DELIVERIES, ALERT_DELIVERIES_OPEN, ALERT_LAST_DELIVERY
from muster.observability.redaction import redact_text
from muster.ports import Clock
from rotc.alerts import Delivery

from notify_service.alerts.addressing import decode_facts
from notify_service.alerts.ledger import Pool
from notify_service.domain.alerting import Alert

#: Deliveries under way at once.
AT_ONCE = 8
#: One attempt may take so long; after `CLAIM_SECONDS` another process may try.
SEND_SECONDS = 30.0
CLAIM_SECONDS = 60.0
IDLE_SECONDS = 0.5
FIRST_BACKOFF, LONGEST_BACKOFF = 2.0, 300.0

_log = get_logger(__name__)


class Later(Exception):
    """The channel cannot deliver now; the text holds no address and no secret."""


class Refused(Exception):
    """The channel will never deliver this; the text holds no address and no secret."""


class _Unrecorded(Exception):
    """It is made again when its claim is over: at least once is what can be promised without PostgreSQL."""


#: Called as soon as the other side has it, before anybody can cut in.
Taken = Callable[[], Awaitable[None]]


class Channel(Protocol):
    """One way to reach somebody."""

    async def send(self, alert: Alert, recipient: str, taken: Taken) -> None:
        """Return when the other side has it and `taken` was told.

        Raises:
            Later: try again.
            Refused: do not.
        """


def backoff(tries: int, chance: random.Random) -> float:
    """Seconds to wait after so many attempts: doubling, up to five minutes, spread over half of it."""
    longest: float = min(LONGEST_BACKOFF, FIRST_BACKOFF * 2 ** min(tries - 1, 20))
    return longest * (0.5 + chance.random() / 2)


class Delivering:
    """The deliveries of this process; several processes share them."""

    def __init__(self, pool: Pool, channels: Mapping[str, Channel], clock: Clock) -> None:
        self._pool = pool
        self._channels = channels
        self._clock = clock
        self._chance = random.Random()  # noqa: S311  spreads attempts

    async def run(self) -> None:
        """Send until cancelled; what is under way then is tried again after `CLAIM_SECONDS`."""
        while True:
            try:
                sent = await self.turn()
            except DATABASE_FAILURES as error:
                _log.warning("Deliveries wait for PostgreSQL", action="alerts.outbox_waiting", error=str(error)[:300])
                sent = 0
            if not sent:
                await self._clock.sleep(IDLE_SECONDS)

    async def turn(self) -> int:
        """Try everything that is due, at most `AT_ONCE`; how many that were."""
        async with self._pool.acquire() as connection:
            due = await tables.claim(connection, AT_ONCE, CLAIM_SECONDS)
            ALERT_DELIVERIES_OPEN.set(await tables.open_deliveries(connection))
        await asyncio.gather(*(self._deliver(one) for one in due))
        return len(due)

    async def _deliver(self, one: Delivery) -> None:
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self._send(one)
        except Refused as error:
            await self._refuse(one, str(error))
        except Later as error:
            await self._later(one, str(error))
        except TimeoutError:
            await self._later(one, f"no answer within {SEND_SECONDS:g} s")
        except _Unrecorded as error:
            _log.warning("A delivery was made and not recorded", action="alerts.unrecorded", error=str(error)[:300])
        except Exception as error:  # noqa: BLE001  whatever a library raises, other deliveries go on, and this one too
            await self._later(one, f"{type(error).__name__}")

    async def _send(self, one: Delivery) -> None:
        channel = self._channels.get(one.channel)
        if channel is None:
            raise Later(f"the channel {one.channel} is not configured here")
        await channel.send(decode_facts(one.facts), one.recipient, lambda: self._taken(one))

    async def _taken(self, one: Delivery) -> None:
        try:
            async with self._pool.acquire() as connection:
                await tables.delivered(connection, one)
        except DATABASE_FAILURES as error:
            raise _Unrecorded(str(error) or type(error).__name__) from error
        ALERT_DELIVERIES.labels(one.channel, "sent").inc()
        ALERT_LAST_DELIVERY.labels(one.channel).set(self._clock.now().timestamp())

    async def _later(self, one: Delivery, reason: str) -> None:
        reason, wait = redact_text(reason, limit=300), backoff(one.tries, self._chance)
        async with self._pool.acquire() as connection:
            state = await tables.deliver_later(connection, one, reason, wait)
        ALERT_DELIVERIES.labels(one.channel, "expired" if state == "expired" else "later").inc()
        _log.warning(
            "An alert could not be delivered", action="alerts.expired" if state == "expired" else "alerts.later",
            alert=str(one.alert_id), channel=one.channel, tries=one.tries, reason=reason,
        )  # fmt: skip

    async def _refuse(self, one: Delivery, reason: str) -> None:
        reason = redact_text(reason, limit=300)
        async with self._pool.acquire() as connection:
            await tables.refuse(connection, one, reason)
        ALERT_DELIVERIES.labels(one.channel, "refused").inc()
        _log.warning(
            "An alert was refused", action="alerts.refused", alert=str(one.alert_id), channel=one.channel, reason=reason
        )
