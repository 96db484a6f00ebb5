"""The task that sends one text to many: one mail each, one bad address never failing the rest."""

from __future__ import annotations

from collections.abc import Mapping

from muster.contracts.errors import Retry
from muster.contracts.retry import RetryPolicy
from muster.worker.context import Context
from rotc.sent_mails import MailOutcome, recipient_key

from notify_service.domain.addresses import BadAddress, parse_address
from notify_service.domain.mail_message import Words
from notify_service.domain.mail_texts import message_words
from notify_service.mail.errors import MailServerDown
from notify_service.mail.mailing import Ended, Letter, Open, mail_all, mailer
from notify_service.mail.params import MailFailure, MailsResult, SendMails
from notify_service.resources import NotifyResources

RETRY = RetryPolicy()


async def send_messages(ctx: Context[NotifyResources], asked: SendMails) -> MailsResult:
    """Whoever is open after the last attempt is a failure; a server that is down fails the task: it can be redriven."""
    by = mailer(ctx)

    def words(unsubscribe: str | None) -> Words:
        made = message_words(by.stationery, asked.subject, asked.message, unsubscribe)
        return made if asked.html_message is None else Words(made.subject, made.text, asked.html_message)

    addresses = [_parsed(text) for text in asked.recipients]
    letters: dict[str, Letter] = {}
    for address in addresses:
        if address is not None:
            letters.setdefault(recipient_key(address), Letter(address, words))
    try:
        ended = await mail_all(ctx, by, list(letters.values()))
    except MailServerDown as error:
        raise Retry(str(error)) from error
    waiting = [one for one in ended.values() if isinstance(one, Open)]
    if waiting and ctx.attempt < RETRY.max_attempts:
        first = f"{waiting[0].code or ''} {waiting[0].reason}".strip()
        raise Retry(f"{len(waiting)} of {len(letters)} mails could not be handed in yet, one of them: {first}")
    return _summary(asked.recipients, addresses, ended)


def _parsed(text: str) -> str | None:
    try:
        return parse_address(text)
    except BadAddress:
        return None


def _summary(recipients: list[str], addresses: list[str | None], ended: Mapping[str, Ended]) -> MailsResult:
    sent = skipped = 0
    failures, seen = [], set()
    for named, address in zip(recipients, addresses, strict=True):
        if address is None:
            failures.append(MailFailure(recipient=named, code=None, reason="not a mail address"))
            continue
        key = recipient_key(address)
        one = ended[key]
        if key in seen or (isinstance(one, MailOutcome) and one.state == "skipped"):
            skipped += 1
        elif isinstance(one, MailOutcome) and one.state == "sent":
            sent += 1
        else:
            failures.append(MailFailure(recipient=named, code=one.code, reason=one.reason))
        seen.add(key)
    return MailsResult(
        total=len(recipients), sent=sent, skipped=skipped, failed=len(failures), failures=failures
    )  # fmt: skip
