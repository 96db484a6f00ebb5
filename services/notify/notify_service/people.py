"""Who may have people told something: approved admins and training staff, by what the database says now."""

from __future__ import annotations

import rotc.people
from muster.contracts.errors import PermanentError
from muster.worker.context import Context
from rotc.errors import UnknownEntity
from rotc.people import Role

from notify_service.resources import NotifyResources

_ALLOWED = frozenset({Role.ADMIN, Role.TRAINING_STAFF})


class NotAllowed(PermanentError):
    """What is sent bears the unit's name: it is sent for approved admins and training staff, and for machines."""


async def require_staff(ctx: Context[NotifyResources]) -> None:
    """Who submitted the task, where somebody did, must be staff.

    Raises: NotAllowed.
    """
    if ctx.submitter is None:
        return
    async with ctx.resources.pool.acquire() as connection:
        try:
            user = await rotc.people.user_by_id(connection, ctx.submitter)
        except UnknownEntity as error:
            raise NotAllowed(f"not allowed: {error}") from None
    if user.role not in _ALLOWED or not user.is_approved:
        raise NotAllowed(f"not allowed: user {user.id} is not an approved admin or training staff")
