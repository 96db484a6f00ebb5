"""Who may have a report made: reports hold personal data, so staff only, by what the database says now."""

from __future__ import annotations

import rotc.permission
from muster.worker.context import Context

from reports_service.resources import ReportsResources


async def require_staff(ctx: Context[ReportsResources], user_id: int) -> None:
    """Both who gets the report and who submitted the task (where somebody did) must be staff.

    Raises: rotc.permission.NotAllowed.
    """
    async with ctx.resources.pool.acquire() as connection:
        await rotc.permission.require_staff(connection, user_id, ctx.submitter)
