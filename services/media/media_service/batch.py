"""Many pictures in one task: side by side, each with an outcome of its own. How one is stored is in storing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from muster.contracts.errors import MusterError, PermanentError, Retry
from muster.contracts.retry import RetryPolicy
from muster.worker.context import Context

from media_service.domain.compression import CompressionOptions
from media_service.params import BatchedImage, BatchError, BatchResult, ImageOfEntity, UploadedImage
from media_service.resources import MediaResources
from media_service.storing import PERMANENT, store_image

RETRY = RetryPolicy()
Outcome = UploadedImage | Exception


async def store_batch(ctx: Context[MediaResources], images: Sequence[ImageOfEntity]) -> BatchResult:
    """Store every picture that can be stored.

    What failed only for now is tried again with the whole task, where the guards leave out what is stored already;
    after the last attempt it is listed among the errors.
    """
    outcomes = await _store_side_by_side(ctx, images)
    passing = [outcome for outcome in outcomes if isinstance(outcome, Exception) and not _is_final(outcome)]
    if passing and ctx.attempt < RETRY.max_attempts:
        message = f"{len(passing)} of {len(images)} pictures could not be stored yet, the first: {_told(passing[0])}"
        waits = [error.after for error in passing if isinstance(error, Retry) and error.after is not None]
        raise Retry(message, after=max(waits, default=None)) from passing[0]
    return summary(outcomes)


async def _store_side_by_side(ctx: Context[MediaResources], images: Sequence[ImageOfEntity]) -> list[Outcome]:
    slots = asyncio.Semaphore(ctx.resources.parallel)
    finished = 0

    async def store(index: int, image: ImageOfEntity) -> Outcome:
        nonlocal finished
        async with slots:
            try:
                outcome: Outcome = await store_image(ctx, image, CompressionOptions(), f"image-{index}")
            except Exception as error:  # noqa: BLE001  one bad picture must not fail the others
                outcome = error
        finished += 1
        await ctx.progress(finished, len(images), "pictures")
        return outcome

    async with asyncio.TaskGroup() as group:
        running = [group.create_task(store(index, image)) for index, image in enumerate(images)]
    return [task.result() for task in running]


def summary(outcomes: Sequence[Outcome]) -> BatchResult:
    """What is told of a batch: every success, every failure, each with its place in the list that was sent."""
    results, errors = [], []
    for index, outcome in enumerate(outcomes):
        if isinstance(outcome, Exception):
            errors.append(BatchError(index=index, error=_told(outcome)))
        else:
            results.append(BatchedImage(index=index, **outcome.model_dump()))
    return BatchResult(
        total=len(outcomes), success_count=len(results), error_count=len(errors), results=results, errors=errors
    )


def _is_final(error: Exception) -> bool:
    return isinstance(error, (PermanentError, *PERMANENT))


def _told(error: Exception) -> str:
    """Our own errors are sentences without personal data; of any other, only its kind is passed on."""
    return str(error) if isinstance(error, (MusterError, *PERMANENT)) else type(error).__name__
