"""Who may have a report made: approved admins and training staff, by what the database says now."""

from __future__ import annotations

import rotc.people
from muster.contracts.errors import PermanentError
from muster.worker.context import Context
from rotc.connection import Connection
from rotc.errors import UnknownEntity
from rotc.people import Role

from reports_service.resources import ReportsResources

_ALLOWED = frozenset({Role.ADMIN, Role.TRAINING_STAFF})


class NotAllowed(PermanentError):
    """Reports hold personal data: they are made for approved admins and training staff only."""


async def require_staff(ctx: Context[ReportsResources], user_id: int) -> None:
    """Both who gets the report and who submitted the task (where somebody did) must be staff.

    Raises: NotAllowed.
    """
    async with ctx.resources.pool.acquire() as connection:
        for person in {user_id, ctx.submitter or user_id}:
            await _require(connection, person)


async def _require(connection: Connection, user_id: int) -> None:
    try:
        user = await rotc.people.user_by_id(connection, user_id)
    except UnknownEntity as error:
        raise NotAllowed(f"not allowed: {error}") from None
    if user.role not in _ALLOWED or not user.is_approved:
        raise NotAllowed(f"not allowed: user {user_id} is not an approved admin or training staff")
