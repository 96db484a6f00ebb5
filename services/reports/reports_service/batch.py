"""Many reports in one task: side by side, each with an outcome of its own. How one is made is in storing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import rotc.notifications
from muster.contracts.errors import MusterError, PermanentError, Retry
from muster.contracts.retry import RetryPolicy
from muster.worker.context import Context

from reports_service.params import BatchedReport, BatchError, BatchResult, Report
from reports_service.resources import ReportsResources
from reports_service.storing import PERMANENT, Wanted, make_report, written_earlier

RETRY = RetryPolicy()
Outcome = Report | Exception


@dataclass(frozen=True)
class Kind:
    """How the requester hears of a batch: notifications.type when any succeeded and when none did, and in words."""

    complete: str
    failed: str
    noun: str


PROFILES = Kind("batch_pdf_complete", "batch_pdf_failed", "cadet profiles")
CERTIFICATES = Kind("batch_certificate_complete", "batch_certificate_failed", "certificates")


async def make_batch(ctx: Context[ReportsResources], wanted: Sequence[Wanted], kind: Kind) -> BatchResult:
    """Make every report that can be made, and tell the requester once.

    What failed only for now is tried again with the whole task, where the guards leave out what is done already;
    after the last attempt it is listed among the errors.
    """
    earlier = await written_earlier(ctx, "batch")
    if earlier is not None:
        return BatchResult.model_validate(earlier)
    outcomes = await _side_by_side(ctx, wanted, kind)
    passing = [outcome for outcome in outcomes if isinstance(outcome, Exception) and not _is_final(outcome)]
    if passing and ctx.attempt < RETRY.max_attempts:
        message = f"{len(passing)} of {len(wanted)} {kind.noun} could not be made yet, the first: {_told(passing[0])}"
        waits = [error.after for error in passing if isinstance(error, Retry) and error.after is not None]
        raise Retry(message, after=max(waits, default=None)) from passing[0]
    return await _finish(ctx, wanted[0].user_id, summary(outcomes), kind)


async def _side_by_side(ctx: Context[ReportsResources], wanted: Sequence[Wanted], kind: Kind) -> list[Outcome]:
    slots = asyncio.Semaphore(ctx.resources.parallel)
    finished = 0

    async def make(one: Wanted) -> Outcome:
        nonlocal finished
        async with slots:
            try:
                outcome: Outcome = await make_report(ctx, one)
            except Exception as error:  # noqa: BLE001  one cadet nobody knows must not fail the others
                outcome = error
        finished += 1
        await ctx.progress(finished, len(wanted), kind.noun)
        return outcome

    async with asyncio.TaskGroup() as group:
        running = [group.create_task(make(one)) for one in wanted]
    return [task.result() for task in running]


async def _finish(ctx: Context[ReportsResources], user_id: int, result: BatchResult, kind: Kind) -> BatchResult:
    async with ctx.resources.effects.once(ctx.task_id, "batch") as effect:
        if effect.done:
            return BatchResult.model_validate(effect.result)
        told = f"{result.success_count} of {result.total} {kind.noun} are ready."
        type_ = kind.complete if result.success_count else kind.failed
        await rotc.notifications.notify_user(effect.connection, user_id, told, type_)
        effect.finish(result.model_dump(mode="json"))
    return result


def summary(outcomes: Sequence[Outcome]) -> BatchResult:
    """What is told of a batch: every success, every failure, each with its place in the list that was sent."""
    results, errors = [], []
    for index, outcome in enumerate(outcomes):
        if isinstance(outcome, Exception):
            errors.append(BatchError(index=index, error=_told(outcome)))
        else:
            results.append(BatchedReport(index=index, **outcome.model_dump()))
    return BatchResult(
        total=len(outcomes), success_count=len(results), error_count=len(errors), results=results, errors=errors
    )


def _is_final(error: Exception) -> bool:
    return isinstance(error, (PermanentError, *PERMANENT))


def _told(error: Exception) -> str:
    """Our own errors are sentences without personal data; of any other, only its kind is passed on."""
    return str(error) if isinstance(error, (MusterError, *PERMANENT)) else type(error).__name__
