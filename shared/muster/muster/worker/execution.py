"""One task from its parameters to its outcome: validation, time limit, cancellation.

Writing the outcome is settlement.py's business.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

import msgspec
from pydantic import BaseModel

from muster.claim_check import ClaimCheck, parameters_of
from muster.contracts.errors import PermanentError, TimeLimitExceeded
from muster.contracts.topics import MAX_RESULT_BYTES
from muster.ports import Clock, Compute
from muster.worker.app import TaskApp, TaskType
from muster.worker.context import Context, ProcessContext
from muster.worker.delivery import Delivery
from muster.worker.outcome import (
    Abandon,
    HandBack,
    Outcome,
    Revoke,
    Succeed,
    outcome_of_error,
    outcome_of_unknown_type,
)
from muster.worker.soft_limit import LimitedCompute, SoftLimit

R = TypeVar("R")
Report = Callable[[Delivery, float, float | None, str], Awaitable[None]]


class Execution(Generic[R]):
    """Runs the functions of one app. `report` is called for the progress that tasks tell."""

    def __init__(
        self,
        app: TaskApp[R],
        resources: R,
        compute: Compute,
        clock: Clock,
        report: Report,
        claims: ClaimCheck | None = None,
        check_fence: Callable[[], None] = lambda: None,
    ) -> None:
        self._app = app
        self._resources = resources
        self._compute = compute
        self._clock = clock
        self._report = report
        self._claims = claims
        self._check_fence = check_fence
        self._rng = random.Random()  # noqa: S311  jitter, not a secret

    async def run(self, delivery: Delivery) -> Outcome:
        """The outcome of one delivery.

        Raises:
            Fenced: a keyed task may not begin here any more; anything else is a bug of the engine.
        """
        record = delivery.task
        if delivery.cancel_reason is not None:
            return self._outcome_of_cancellation(delivery)
        task = self._app.tasks.get(record.task_type)
        if task is None:
            return outcome_of_unknown_type(record, self._app.service, now=self._clock.now(), rng=self._rng)
        if record.order_key is not None:
            try:
                # Others begin before their acceptance is confirmed. Until then another worker may have the record, may
                # have run it, and the next task of its key may have begun.
                if not await asyncio.shield(delivery.acceptance.confirmed):
                    return Abandon()
            except asyncio.CancelledError:
                return self._outcome_of_cancellation(delivery)
            # A process that was frozen meanwhile wakes up here.
            self._check_fence()
        try:
            result = await self._call(task, delivery)
            return Succeed(encode_result(result))
        except asyncio.CancelledError:
            return self._outcome_of_cancellation(delivery)
        except Exception as error:  # noqa: BLE001  whatever a task raises becomes its outcome
            return outcome_of_error(error, record, task, now=self._clock.now(), rng=self._rng)

    async def _call(self, task: TaskType, delivery: Delivery) -> Any:
        parameters = task.validate(await parameters_of(delivery.task, self._claims))
        try:
            async with asyncio.timeout(task.time_limit) as limit:
                soft = SoftLimit(task.soft_time_limit) if task.soft_time_limit is not None else None
                compute = self._compute
                if soft is not None or task.memory_mb is not None:
                    compute = LimitedCompute(compute, soft, task.memory_mb)
                if task.runs_in == "process":
                    return await self._call_in_child(task, delivery, parameters, compute)
                context = self._context(delivery, compute)
                call = task.function(*((context,) if task.parameters is None else (context, parameters)))
                return await (call if soft is None else soft.run(call))
        except TimeoutError:
            if not limit.expired():
                raise
            raise TimeLimitExceeded(task.time_limit, hard=True) from None

    async def _call_in_child(
        self, task: TaskType, delivery: Delivery, parameters: BaseModel | None, compute: Compute
    ) -> Any:
        record = delivery.task
        context = ProcessContext(record.task_id, record.task_type, record.attempt, record.delivery, record.submitter)
        arguments = (context,) if task.parameters is None else (context, parameters)
        return await compute.run(task.function, *arguments)

    def _context(self, delivery: Delivery, compute: Compute) -> Context[R]:
        async def report(done: float, total: float | None, message: str) -> None:
            await self._report(delivery, done, total, message)

        return Context(delivery.task, self._resources, compute, report, self._claims)

    def _outcome_of_cancellation(self, delivery: Delivery) -> Outcome:
        match delivery.cancel_reason:
            case "revoked":
                order = delivery.order
                return Revoke(order.reason if order else "revoked", order.by if order else None)
            case "abandoned" | "fenced":
                return Abandon()
            case "drained":
                return HandBack()
            case None:
                # The task cancelled itself, or a library in it did: a failure like any other.
                task = self._app.tasks[delivery.task.task_type]
                error = RuntimeError("the task was cancelled from within")
                return outcome_of_error(error, delivery.task, task, now=self._clock.now(), rng=self._rng)


def encode_result(result: Any) -> bytes:
    """A task's return value as JSON.

    Raises:
        TypeError: it is no JSON value, model or struct; the message says which part.
        PermanentError: it is too large; trying again would make it no smaller.
    """
    if isinstance(result, BaseModel):
        encoded = result.model_dump_json().encode()
    else:
        encoded = msgspec.json.encode(result, enc_hook=_encode_model)
    if len(encoded) > MAX_RESULT_BYTES:
        raise PermanentError(
            f"the result has {len(encoded):,} bytes, {MAX_RESULT_BYTES:,} are kept: store it and return where it lies"
        )
    return encoded


def _encode_model(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    raise TypeError(f"a task's result must be JSON; {type(value).__name__} is not")
