"""Whose address it is and whether they want mail: accounts by address, by cadet, by letter. Sends nothing."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date

import asyncpg

from rotc.connection import Connection
from rotc.errors import UnknownEntity
from rotc.people import LARGEST_ID
from rotc.sql import load

SQL = load("mail_accounts")


@dataclass(frozen=True, slots=True)
class MailAccount:
    """One account, as far as mail is concerned."""

    user_id: int
    email: str
    wants_mail: bool
    first_name: str = ""


async def accounts_by_address(connection: Connection, addresses: Collection[str]) -> dict[str, MailAccount]:
    """Accounts by address in lower case; addresses that are nobody's are left out.

    Where one address belongs to several accounts, mail is wanted only if all of them want it.
    """
    rows = await connection.fetch(SQL["accounts_by_address"], [address.lower() for address in addresses])
    return {row["email"]: MailAccount(row["user_id"], row["email"], row["wants_mail"]) for row in rows}


async def account_of_cadet(connection: Connection, cadet_id: int) -> MailAccount | None:
    """The approved account of a cadet; None when there is none.

    Raises: UnknownEntity.
    """
    row = await connection.fetchrow(SQL["account_of_cadet"], cadet_id) if 0 < cadet_id <= LARGEST_ID else None
    if row is None:
        raise UnknownEntity("cadet", cadet_id)
    return _account(row)


async def account_of_letter(connection: Connection, letter_id: int) -> tuple[date, MailAccount | None]:
    """The day a letter excuses, and the approved account of its cadet.

    Raises: UnknownEntity.
    """
    row = await connection.fetchrow(SQL["account_of_letter"], letter_id) if 0 < letter_id <= LARGEST_ID else None
    if row is None:
        raise UnknownEntity("excuse letter", letter_id)
    return row["date_absent"], _account(row)


async def stop_mail(connection: Connection, user_id: int) -> bool:
    """Turn `email_alerts` off; False when there is no such account. Doing it again changes nothing."""
    return await connection.fetchval(SQL["stop_mail"], user_id) is not None


def _account(row: asyncpg.Record) -> MailAccount | None:
    if row["user_id"] is None:
        return None
    return MailAccount(row["user_id"], row["email"], row["wants_mail"], row["first_name"])
