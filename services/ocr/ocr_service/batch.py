"""Many documents in one task: side by side, each with an outcome of its own. How one is read is in letters."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from muster.contracts.errors import MusterError, PermanentError, Retry
from muster.contracts.retry import RetryPolicy
from muster.worker.context import Context

from ocr_service.letters import PERMANENT, read_letter
from ocr_service.params import (
    DEFAULT_LANGUAGE,
    BatchDocuments,
    BatchedText,
    BatchError,
    BatchResult,
    DocumentOfLetter,
    DocumentText,
)
from ocr_service.resources import OcrResources

RETRY = RetryPolicy()
#: UTF-8 bytes of all texts of one result, which may have 1 MB as JSON, where a line break or a quote counts twice.
TEXT_BYTES = 400_000
Outcome = DocumentText | Exception


async def read_batch(ctx: Context[OcrResources], batch: BatchDocuments) -> BatchResult:
    """Read every document that can be read.

    What failed only for now is tried again with the whole task, where the guards and the cache leave out what is done
    already; after the last attempt it is listed among the errors.
    """
    documents = batch.documents
    outcomes = await _read_side_by_side(ctx, documents)
    passing = [outcome for outcome in outcomes if isinstance(outcome, Exception) and not _is_final(outcome)]
    if passing and ctx.attempt < RETRY.max_attempts:
        message = f"{len(passing)} of {len(documents)} documents could not be read yet, the first: {_told(passing[0])}"
        waits = [error.after for error in passing if isinstance(error, Retry) and error.after is not None]
        raise Retry(message, after=max(waits, default=None)) from passing[0]
    return summary(documents, outcomes)


async def _read_side_by_side(ctx: Context[OcrResources], documents: Sequence[DocumentOfLetter]) -> list[Outcome]:
    slots = asyncio.Semaphore(ctx.resources.parallel)
    finished = 0

    async def read(index: int, document: DocumentOfLetter) -> Outcome:
        nonlocal finished
        async with slots:
            try:
                outcome: Outcome = await read_letter(ctx, document, DEFAULT_LANGUAGE, f"letter-{index}", _untold)
            except Exception as error:  # noqa: BLE001  one bad document must not fail the others
                outcome = error
        finished += 1
        await ctx.progress(finished, len(documents), "documents")
        return outcome

    async with asyncio.TaskGroup() as group:
        running = [group.create_task(read(index, document)) for index, document in enumerate(documents)]
    return [task.result() for task in running]


async def _untold(done: int, total: int) -> None:
    """The pages of one document among many are not told: the documents are."""


def summary(documents: Sequence[DocumentOfLetter], outcomes: Sequence[Outcome]) -> BatchResult:
    """What is told of a batch: every success, every failure, each with its place in the list that was sent."""
    room = TEXT_BYTES // max(1, sum(isinstance(outcome, DocumentText) for outcome in outcomes))
    results, errors = [], []
    for index, (document, outcome) in enumerate(zip(documents, outcomes, strict=True)):
        letter = document.excuse_letter_id
        if isinstance(outcome, Exception):
            errors.append(BatchError(index=index, excuse_letter_id=letter, error=_told(outcome)))
            continue
        text = outcome.text.encode()[:room].decode(errors="ignore")
        results.append(
            BatchedText(
                **outcome.model_dump(include={"confidence", "word_count", "language", "cached"}),
                index=index,
                excuse_letter_id=letter,
                text=text,
                truncated=text != outcome.text,
                pages=len(outcome.pages),
            )
        )
    return BatchResult(
        total=len(outcomes), success_count=len(results), error_count=len(errors), results=results, errors=errors
    )


def _is_final(error: Exception) -> bool:
    return isinstance(error, (PermanentError, *PERMANENT))


def _told(error: Exception) -> str:
    """Our own errors are sentences without personal data; of any other, only its kind is passed on."""
    return str(error) if isinstance(error, (MusterError, *PERMANENT)) else type(error).__name__
