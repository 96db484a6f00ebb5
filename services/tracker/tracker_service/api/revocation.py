"""POST /tasks/{id}/revoke: writes the order to the control topic. Workers obey it; REVOKED is theirs to say."""

from __future__ import annotations

import asyncpg
from muster.contracts.control import Revocation
from muster.contracts.events import encode_json
from muster.contracts.states import TERMINAL
from pydantic import BaseModel, ConfigDict, Field

from tracker_service.api.callers import Caller
from tracker_service.api.context import Api
from tracker_service.api.errors import ApiError
from tracker_service.projection.scribe import Scribe


class RevokeRequest(BaseModel):
    """How to take a task back."""

    model_config = ConfigDict(extra="forbid")

    terminate: bool = Field(False, description="Also stop it when it is running; else it is only kept from starting.")


async def revoke(api: Api, caller: Caller, row: asyncpg.Record, *, terminate: bool) -> None:
    """Return when Kafka has the order.

    Raises:
        ApiError: 409: the task has ended.
    """
    if row["state"] in TERMINAL:
        raise ApiError(409, f"the task has ended already: {row['state']}")
    task_id = row["task_id"]
    # A second order never softens the first.
    terminate = terminate or bool(row["revoke_terminate"])
    order = Revocation(
        task_id=task_id, at=api.clock.now(), terminate=terminate, by=caller.user_id, redrive=row["redrive"]
    )
    scribe = Scribe(api.producer, api.reader, api.store, api.clock)
    await scribe.write(api.topics.control, [(order.key, encode_json(order))])
