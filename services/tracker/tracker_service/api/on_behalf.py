"""A trusted machine that submits for a person: with that person's rights, never with more. Who may, is decided here."""

from __future__ import annotations

from dataclasses import replace

from muster.contracts.errors import Problem

from tracker_service.api.callers import Caller, Callers
from tracker_service.api.errors import ApiError

#: The scope of an API key that may name a submitter.
SCOPE = "act"


async def acting(callers: Callers, caller: Caller, submitter: int | None) -> Caller:
    """Who the task is submitted by: the person that a machine names, else the caller.

    Raises:
        ApiError: 403 for who may not name anybody, 422 for a person who is not there or not approved.
    """
    if submitter is None or submitter == caller.user_id:
        return caller
    if caller.user_id is not None or not (caller.is_admin or SCOPE in caller.scopes):
        raise ApiError(403, f"only an API key with the scope {SCOPE} may name a submitter")
    try:
        person = await callers.person(submitter)
    except ApiError as error:
        reason = f"user {submitter} does not exist or is not approved"
        raise ApiError(422, reason, [Problem("submitter", reason, "unknown_user")]) from error
    # The name is part of an idempotency key's id: two people's keys are two tasks.
    return replace(person, name=f"{caller.name} for {person.name}")
