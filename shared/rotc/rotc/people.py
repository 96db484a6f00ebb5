"""Users as authorization sees them: role, approval, the cadet behind them. Who may do what is decided by services."""

from dataclasses import dataclass
from enum import StrEnum

import asyncpg

from rotc.connection import Connection
from rotc.errors import UnknownEntity
from rotc.sql import load

SQL = load("people")

#: The largest value of an integer column; asked for more, the driver would raise an error of its own.
LARGEST_ID = 2**31 - 1


class Role(StrEnum):
    """What a user is. The column is free text, so a value nobody knows is possible: it grants nothing."""

    ADMIN = "admin"
    TRAINING_STAFF = "training_staff"
    CADET = "cadet"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class User:
    """One row of `users`, as far as authorization is concerned."""

    #: users.id, the `custom_user_id` of a token (its `user_id` is the id of another table).
    id: int
    role: Role
    is_approved: bool
    #: cadets.id; no foreign key guards it.
    cadet_id: int | None


def _user(row: asyncpg.Record) -> User:
    role = Role(row["role"]) if row["role"] in set(Role) else Role.UNKNOWN
    return User(row["id"], role, row["is_approved"], row["cadet_id"])


async def user_by_id(connection: Connection, user_id: int) -> User:
    """The user with this users.id.

    Raises: UnknownEntity.
    """
    row = await connection.fetchrow(SQL["user_by_id"], user_id) if 0 < user_id <= LARGEST_ID else None
    if row is None:
        raise UnknownEntity("user", user_id)
    return _user(row)


async def approved_admins(connection: Connection) -> tuple[User, ...]:
    """Every admin who has been approved, by id."""
    return tuple(_user(row) for row in await connection.fetch(SQL["approved_admins"]))
