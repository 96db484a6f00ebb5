"""For people who test their tasks: run one as a worker would, in this process, without Kafka, and look at its outcome.

Validation, time limits, retries and results are the worker's own code; what a worker does with an outcome is not here.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import msgspec

from muster.claim_check import ClaimCheck
from muster.contracts.envelope import TaskRecord
from muster.contracts.errors import SoftTimeLimitExceeded
from muster.contracts.limits import NO_LIMITS, ChildLimits
from muster.ports import Clock, Record
from muster.worker.app import TaskApp
from muster.worker.delivery import Acceptance, Delivery
from muster.worker.execution import Execution
from muster.worker.outcome import Outcome

R = TypeVar("R")


class InlineCompute:
    """`Compute` in this very process: quick, debuggable, not killable."""

    async def run(
        self,
        function: Callable[..., Any],
        *args: Any,
        timeout: float | None = None,
        limits: ChildLimits = NO_LIMITS,
    ) -> Any:
        """Nothing can be raised inside a thread: the soft limit ends the wait for it, memory is not counted."""
        soft = None if limits.soft_at is None else max(0.0, limits.soft_at - time.monotonic())
        try:
            async with asyncio.timeout(timeout), asyncio.timeout(soft) as until_soft:
                return await asyncio.to_thread(function, *args)
        except TimeoutError:
            if not until_soft.expired():
                raise
            raise SoftTimeLimitExceeded(limits.soft_limit) from None

    async def close(self) -> None:
        """Nothing was started."""


@dataclass
class TaskHarness(Generic[R]):
    """Runs tasks of `app` with these resources; `progress` collects what they reported as (done, total, message)."""

    app: TaskApp[R]
    resources: R
    clock: Clock
    progress: list[tuple[float, float | None, str]] = field(default_factory=list)
    claims: ClaimCheck | None = None

    async def run(
        self,
        task_type: str,
        parameters: dict[str, Any],
        *,
        task_id: str = "test-task",
        attempt: int = 1,
        submitter: int | None = None,
    ) -> Outcome:
        """The outcome of one attempt: Succeed, RetryAt, DeadLetter, ..."""
        task = TaskRecord(
            task_id=task_id,
            task_type=task_type,
            body=msgspec.json.encode(parameters),
            attempt=attempt,
            submitter=submitter,
        )
        record = Record(f"tasks.{self.app.service}.default", 0, 0, 0, task.key, task.body, tuple(task.headers()))
        delivery = Delivery(record, task, Acceptance(), self.clock.now())
        execution = Execution(self.app, self.resources, InlineCompute(), self.clock, self._report, self.claims)
        return await execution.run(delivery)

    async def _report(self, delivery: Delivery, done: float, total: float | None, message: str) -> None:
        self.progress.append((done, total, message))
