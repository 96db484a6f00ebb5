"""How an alert reaches an admin's mailbox, over the connections that mail tasks use. When, is delivery.py's."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import rotc.alerts as tables
from rotc.service_resources import Pool

from notify_service.alerts.delivery import Later, Refused, Taken
from notify_service.domain.addresses import BadAddress, parse_address
from notify_service.domain.alert_text import words
from notify_service.domain.alerting import Alert
from notify_service.domain.mail_texts import alert_words
from notify_service.mail.errors import ConnectionBroke, MailRefused, MailServerDown
from notify_service.mail.mailer import Mailer


class Mails:
    """The mailboxes of approved admins. The Message-ID follows from the alert and the address: no mail counts twice."""

    def __init__(self, pool: Pool, mailer: Mailer, public_url: str, zone: ZoneInfo) -> None:
        self._pool = pool
        self._mailer = mailer
        self._public_url = public_url
        self._zone = zone

    async def send(self, alert: Alert, recipient: str, taken: Taken) -> None:
        """Raises Later, Refused."""
        async with self._pool.acquire() as connection:
            person = await tables.person(connection, int(recipient.removeprefix("user:")))
        if person is None:
            raise Refused("is no approved admin any more")
        told = words(alert, self._public_url, self._zone)
        stationery = self._mailer.stationery
        try:
            await self._mailer.hand_in(
                f"alert:{alert.id}", parse_address(person.email),
                lambda link: alert_words(stationery, told, alert.severity, link), user_id=person.id, taken=taken,
            )  # fmt: skip
        except BadAddress:
            raise Refused("the account has no mail address that could be written to") from None
        except MailRefused as error:
            raise (Refused if error.is_final else Later)(str(error)) from None
        except (MailServerDown, ConnectionBroke) as error:
            raise Later(str(error)) from None
