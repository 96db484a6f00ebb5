"""Who may start work on many people's data: approved admins and training staff, by what the database says now."""

from __future__ import annotations

from muster.contracts.errors import PermanentError

from rotc.connection import Connection
from rotc.errors import UnknownEntity
from rotc.people import Role, user_by_id

_STAFF = frozenset({Role.ADMIN, Role.TRAINING_STAFF})
#: The same for the API, which judges by the catalog before anything is submitted.
STAFF_ROLES = ("admin", "training_staff")


class NotAllowed(PermanentError):
    """One of the persons is no approved admin or training staff; trying again cannot help."""


async def require_staff(connection: Connection, *user_ids: int | None) -> None:
    """Every one of these users.id must be staff; None (a machine) is passed over.

    Raises: NotAllowed.
    """
    for user_id in {one for one in user_ids if one is not None}:
        try:
            user = await user_by_id(connection, user_id)
        except UnknownEntity as error:
            raise NotAllowed(f"not allowed: {error}") from None
        if user.role not in _STAFF or not user.is_approved:
            raise NotAllowed(f"not allowed: user {user_id} is not an approved admin or training staff")
