"""The mails of one task: each sent at most once, what became of each written down, what is open tried again.

Between the server's 250 and the row that says so lies one statement; a worker killed just there sends that mail again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import rotc.sent_mails
from muster.adapters.postgres import DATABASE_FAILURES
from muster.contracts.errors import PermanentError
from muster.worker.context import Context
from rotc.mail_accounts import MailAccount, accounts_by_address
from rotc.sent_mails import MailOutcome, recipient_key

from notify_service.mail.errors import ConnectionBroke, MailRefused, MailServerDown
from notify_service.mail.mailer import Compose, Mailer
from notify_service.resources import NotifyResources

UNWANTED = "the recipient has turned mail alerts off"
#: The server has taken the mail; the database gets this many chances to note it, with pauses in seconds between them.
_NOTING, _NOTING_PAUSE = 4, 0.5
#: Connections that broke one after the other until the server counts as down.
_PATIENCE = 5


class MailNotConfigured(PermanentError):
    """EMAIL_HOST is empty."""

    def __init__(self) -> None:
        super().__init__("no mail can be sent: EMAIL_HOST is not set")


@dataclass(frozen=True)
class Letter:
    """One mail that is wanted; `recipient` as `parse_address` gives it."""

    recipient: str
    compose: Compose

    @property
    def key(self) -> str:
        return recipient_key(self.recipient)


@dataclass(frozen=True)
class Open:
    """A mail that could not be handed in now; `code` is None when the server said nothing."""

    code: int | None
    reason: str


Ended = MailOutcome | Open


def mailer(ctx: Context[NotifyResources]) -> Mailer:
    """Raises: MailNotConfigured."""
    if ctx.resources.mail is None:
        raise MailNotConfigured
    return ctx.resources.mail


async def mail_all(ctx: Context[NotifyResources], by: Mailer, letters: Sequence[Letter]) -> dict[str, Ended]:
    """How each letter ended, by its key; run again, only those that are still open are sent.

    Raises: MailServerDown, with everything written down that was done before.
    """
    async with ctx.resources.pool.acquire() as connection:
        known = await rotc.sent_mails.outcomes(connection, ctx.task_id)
        accounts = await accounts_by_address(connection, [letter.recipient for letter in letters])
    run = _Run(
        ctx, by, accounts, len(letters), {letter.key: known[letter.key] for letter in letters if letter.key in known}
    )
    await run.all([letter for letter in letters if letter.key not in known])
    return run.ended


class _Run:
    """One run over the letters that are open."""

    def __init__(
        self, ctx: Context[NotifyResources], by: Mailer, accounts: dict[str, MailAccount], total: int,
        known: dict[str, MailOutcome],
    ) -> None:  # fmt: skip
        self._ctx, self._by, self._accounts, self._total = ctx, by, accounts, total
        self.ended: dict[str, Ended] = dict(known)
        self._broken_in_a_row = 0
        #: What ended the run early.
        self._failure: Exception | None = None

    async def all(self, letters: Sequence[Letter]) -> None:
        waiting = iter(letters)
        async with asyncio.TaskGroup() as group:
            for _connection in range(self._by.pool.limits.size):
                group.create_task(self._work(waiting))
        if self._failure is not None:
            raise self._failure

    async def _work(self, waiting: Iterator[Letter]) -> None:
        for letter in waiting:
            if self._failure is not None:
                return
            try:
                await self._one(letter)
            except (MailServerDown, *DATABASE_FAILURES) as error:
                self._failure = error
                return
            await self._ctx.progress(len(self.ended), self._total, "mails")

    async def _one(self, letter: Letter) -> None:
        account = self._accounts.get(letter.recipient.lower())
        if account is not None and not account.wants_mail:
            return await self._note(letter, MailOutcome("skipped", None, UNWANTED))
        user_id = account.user_id if account else None

        async def taken() -> None:
            await self._note(letter, MailOutcome("sent"))

        try:
            await self._by.hand_in(
                self._ctx.task_id, letter.recipient, letter.compose, user_id=user_id, taken=taken
            )  # fmt: skip
            self._broken_in_a_row = 0
        except MailRefused as error:
            self._broken_in_a_row = 0
            if error.is_final:
                return await self._note(letter, MailOutcome("refused", error.code, error.reason))
            self.ended[letter.key] = Open(error.code, error.reason)
        except ConnectionBroke as error:
            self._broke(letter, error)
        return None

    def _broke(self, letter: Letter, error: ConnectionBroke) -> None:
        self.ended[letter.key] = Open(None, str(error))
        self._broken_in_a_row += 1
        if self._broken_in_a_row >= _PATIENCE:
            raise MailServerDown(str(error)) from error

    async def _note(self, letter: Letter, outcome: MailOutcome) -> None:
        self.ended[letter.key] = outcome
        for chance in range(1, _NOTING + 1):
            try:
                async with self._ctx.resources.pool.acquire() as connection:
                    return await rotc.sent_mails.record(connection, self._ctx.task_id, letter.key, outcome)
            except DATABASE_FAILURES:
                if chance == _NOTING:
                    raise
                await asyncio.sleep(_NOTING_PAUSE)
        return None
