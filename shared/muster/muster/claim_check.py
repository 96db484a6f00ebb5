"""Hands large parameters in at the store and fetches them again: what client, API and worker share of the claim check.

What a reference is, and when a payload is garbage, is contracts/claim_check.py; the store itself is an adapter.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from muster.contracts.claim_check import Reference, can_hold, is_intact, refer
from muster.contracts.envelope import TaskRecord
from muster.contracts.errors import PayloadDamaged, PayloadUnavailable
from muster.ports import PayloadStore
from muster.settings import ClaimCheckSettings


class ClaimCheck:
    """One store and its limits."""

    def __init__(self, store: PayloadStore, settings: ClaimCheckSettings) -> None:
        self.store = store
        self._threshold, self._most = settings.threshold_bytes, settings.max_bytes

    async def hand_in(self, task: TaskRecord, *, now: datetime) -> TaskRecord:
        """The task with its parameters in the store and their reference in its record, when they are large.

        Raises:
            PayloadUnavailable: they could not be stored.
        """
        if len(task.body) <= self._threshold or task.reference is not None or not can_hold(task.task_id):
            return task
        reference = refer(task.task_id, task.body, now=now, due=task.not_before)
        await self.store.put(reference.key, task.body)
        return msgspec.structs.replace(task, body=b"", reference=reference)

    async def fetch(self, reference: Reference, task_id: str, *, max_bytes: int | None = None) -> bytes:
        """What `task_id` handed in, compared with its hash.

        Raises:
            InvalidRecord: the reference is none, or another task's.
            PayloadDamaged: it is not what was handed in, or too large.
            PayloadUnavailable: it is not there, or the store is not.
        """
        key = reference.key_for(task_id)
        most = self._most if max_bytes is None else min(self._most, max_bytes)
        if not 0 <= reference.size <= most:
            raise PayloadDamaged(f"the payload has {reference.size:,} bytes, at most {most:,} are read here")
        # Not a byte more than was handed in: some servers refuse a range that ends past the object.
        data = await self.store.get(key, max_bytes=reference.size) if reference.size else b""
        if not is_intact(data, reference):
            raise PayloadDamaged("the payload in the store is not what was handed in (its SHA-256 differs)")
        return data


async def hand_in(claims: ClaimCheck | None, task: TaskRecord, *, now: datetime) -> TaskRecord:
    """As `ClaimCheck.hand_in`; unchanged where no store is configured."""
    return task if claims is None else await claims.hand_in(task, now=now)


async def parameters_of(task: TaskRecord, claims: ClaimCheck | None) -> dict[str, Any]:
    """The named parameters, wherever they lie; those in the record go over those in the store.

    Raises:
        InvalidRecord: they are no JSON object, or the reference is not this task's.
        PayloadDamaged, PayloadUnavailable: see `ClaimCheck.fetch`.
    """
    own = task.parameters()
    if task.reference is None:
        return own
    data = await required(claims).fetch(task.reference, task.task_id)
    return msgspec.structs.replace(task, body=data).parameters() | own


def required(claims: ClaimCheck | None) -> ClaimCheck:
    """Raises PayloadUnavailable: no store is configured; the task is tried again, perhaps by a worker that has one."""
    if claims is None:
        raise PayloadUnavailable("the parameters lie in a store, and this process has none: set MUSTER_CLAIMS_URL")
    return claims
