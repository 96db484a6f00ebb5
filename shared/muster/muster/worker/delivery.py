"""One record on its way from the lane to its outcome, and the batch it was accepted with.

Plain state; intake and lifecycle act on it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from muster.contracts.control import Order
from muster.contracts.envelope import TaskRecord
from muster.ports import Position, Record, TopicPartition

CancelReason = Literal["revoked", "abandoned", "drained", "fenced"]


class Acceptance:
    """A batch of deliveries that one commit accepts, about 20 ms of intake.

    `confirmed` becomes True when the commit stands, False when the records belong to someone else. Retries and dead
    letters wait for it; a success does not.
    """

    __slots__ = ("confirmed", "deliveries", "offsets", "written")

    def __init__(self) -> None:
        self.confirmed: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.deliveries: list[Delivery] = []
        #: Records that must be acknowledged before the commit is asked for: STARTED, or what stands in its place.
        self.written: list[asyncio.Future[Position]] = []
        self.offsets: dict[TopicPartition, int] = {}


@dataclass(eq=False, slots=True)
class Delivery:
    """A task that this worker runs now."""

    record: Record
    task: TaskRecord
    acceptance: Acceptance
    started_at: datetime
    runner: asyncio.Task[None] | None = None
    cancel_reason: CancelReason | None = None
    #: What took it back.
    order: Order | None = None
    #: The runner has taken its first step.
    begun: bool = False
    last_report: float = field(default=float("-inf"))
    #: The function has ended and its outcome is being written: nothing may interrupt that.
    settling: bool = False

    @property
    def accepted(self) -> bool:
        """The commit is known to stand."""
        confirmed = self.acceptance.confirmed
        return confirmed.done() and not confirmed.cancelled() and confirmed.result()

    def cancel(self, reason: CancelReason, order: Order | None = None) -> None:
        """Stop the function, or keep it from beginning; the first reason stays."""
        if self.cancel_reason is None and self.runner is not None and not self.settling:
            self.cancel_reason = reason
            self.order = order
            # A task of asyncio that is cancelled before its first step never takes one: nobody would free its slot.
            if self.begun:
                self.runner.cancel()
