"""The tasks that send one mail: who gets it, what it says. How it is sent is mailing's."""

from __future__ import annotations

from muster.contracts.errors import PermanentError, Retry
from muster.worker.context import Context
from rotc.mail_accounts import MailAccount, account_of_cadet, account_of_letter
from rotc.sent_mails import MailOutcome

from notify_service.domain.addresses import BadAddress, domain_of, masked, parse_address, parse_sender
from notify_service.domain.mail_message import Words
from notify_service.domain.mail_texts import grade_words, letter_words, message_words
from notify_service.mail.errors import MailServerDown
from notify_service.mail.mailer import Compose, Mailer
from notify_service.mail.mailing import Letter, mail_all, mailer
from notify_service.mail.params import Mailed, SendGrade, SendLetterStatus, SendMail
from notify_service.resources import NotifyResources

NO_ACCOUNT = "the cadet has no approved account"


class Undeliverable(PermanentError):
    """The mail server refused this mail for good, or its sender is not ours; the text holds no whole address."""


async def send_message(ctx: Context[NotifyResources], asked: SendMail) -> Mailed:
    """A text to an address the caller names."""
    by = _sent_by(mailer(ctx), asked.from_email)

    def words(unsubscribe: str | None) -> Words:
        made = message_words(by.stationery, asked.subject, asked.message, unsubscribe)
        return made if asked.html_message is None else Words(made.subject, made.text, asked.html_message)

    return await _send(ctx, by, asked.recipient_email, words, told=asked.recipient_email)


async def send_grade(ctx: Context[NotifyResources], asked: SendGrade) -> Mailed:
    """To the cadet whose grade changed."""
    async with ctx.resources.pool.acquire() as connection:
        account = await account_of_cadet(connection, asked.cadet_id)
    if account is None:
        return Mailed(status="skipped", reason=NO_ACCOUNT)
    by, found = mailer(ctx), account

    def words(unsubscribe: str | None) -> Words:
        return grade_words(by.stationery, found.first_name, asked.grade_type, str(asked.new_value), unsubscribe)

    return await _send_to(ctx, by, account, words)


async def send_letter_status(ctx: Context[NotifyResources], asked: SendLetterStatus) -> Mailed:
    """To the cadet who handed the excuse letter in."""
    async with ctx.resources.pool.acquire() as connection:
        day, account = await account_of_letter(connection, asked.excuse_letter_id)
    if account is None:
        return Mailed(status="skipped", reason=NO_ACCOUNT)
    by, found = mailer(ctx), account

    def words(unsubscribe: str | None) -> Words:
        return letter_words(by.stationery, found.first_name, day, asked.status, asked.reason, unsubscribe)

    return await _send_to(ctx, by, account, words)


def _sent_by(by: Mailer, from_email: str | None) -> Mailer:
    """Raises Undeliverable for a sender of another domain: receivers would take it for forged (SPF, DMARC)."""
    if from_email is None:
        return by
    sender = parse_sender(from_email)
    if domain_of(sender.addr_spec) != domain_of(by.sender.addr_spec):
        raise Undeliverable(f"not allowed: from_email must be an address of {domain_of(by.sender.addr_spec)}")
    return by.sent_by(sender)


async def _send_to(ctx: Context[NotifyResources], by: Mailer, account: MailAccount, words: Compose) -> Mailed:
    try:
        recipient = parse_address(account.email)
    except BadAddress as error:
        raise Undeliverable(f"the account of user {account.user_id} has {error}") from None
    return await _send(ctx, by, recipient, words, told=masked(recipient))


async def _send(ctx: Context[NotifyResources], by: Mailer, recipient: str, words: Compose, *, told: str) -> Mailed:
    """`told`: the recipient as the result names it."""
    letter = Letter(recipient, words)
    try:
        ended = (await mail_all(ctx, by, [letter]))[letter.key]
    except MailServerDown as error:
        raise Retry(str(error)) from error
    if not isinstance(ended, MailOutcome):
        raise Retry(f"the mail to {masked(recipient)} could not be handed in yet: {ended.code or ''} {ended.reason}")
    match ended.state:
        case "sent":
            return Mailed(status="sent", recipient=told, message_id=by.message_id(ctx.task_id, recipient))
        case "skipped":
            return Mailed(status="skipped", recipient=told, reason=ended.reason)
        case "refused":
            raise Undeliverable(f"the mail server refused the mail to {masked(recipient)}: {ended.code} {ended.reason}")
