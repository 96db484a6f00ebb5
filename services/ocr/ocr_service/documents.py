"""One document from its address to its text: fetched, remembered or read page by page. Writes nothing to a letter."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable

import rotc.readings
from muster.worker.context import Context
from pydantic import BaseModel

from ocr_service.domain.languages import Chosen, choose
from ocr_service.domain.wording import join_pages, whole_confidence
from ocr_service.pages import PageText, count_pages, read_page
from ocr_service.params import DocumentText, ReadPage
from ocr_service.resources import OcrResources

MAX_BYTES = 20 * 1024 * 1024
#: Part of what readings are remembered by: counted up when the way of reading changes, so that old ones are not used.
_WAY_OF_READING = "2"

Tell = Callable[[int, int], Awaitable[None]]


class _Kept(BaseModel):
    """What is remembered of a document."""

    text: str
    confidence: float
    pages: list[ReadPage]


async def read_document(ctx: Context[OcrResources], file_url: str, language: str, tell: Tell) -> DocumentText:
    """What the document says.

    Args:
        tell: hears of every page as (done, total).

    Raises:
        FetchRefused, FetchFailed: see muster.adapters.fetching.
        UnreadableDocument: it can never be read.
        PageTookTooLong: perhaps later.
    """
    loop = asyncio.get_running_loop()
    started = loop.time()
    chosen = choose(language, ctx.resources.tesseract.languages)
    data = await ctx.resources.fetcher.fetch(file_url, max_bytes=MAX_BYTES)
    digest = hashlib.sha256(data).digest()
    kept = await _recall(ctx, digest, chosen)
    cached = kept is not None
    if kept is None:
        kept = await _read(ctx, data, chosen.language, tell)
        await _keep(ctx, digest, chosen, kept)
    # The document itself may have needed no language at all.
    warned = chosen.warning is not None and any(page.source == "ocr" for page in kept.pages)
    return DocumentText(
        **kept.model_dump(),
        word_count=len(kept.text.split()),
        language=chosen.language,
        cached=cached,
        processing_ms=round((loop.time() - started) * 1000),
        warnings=[chosen.warning] if warned and chosen.warning else [],
    )


async def _read(ctx: Context[OcrResources], data: bytes, language: str, tell: Tell) -> _Kept:
    total = await ctx.compute(count_pages, data)
    pages: list[PageText] = []
    # One after the other, each in a call of its own: a page is in memory at a time, and the task can be cancelled.
    for number in range(1, total + 1):
        pages.append(await ctx.compute(read_page, data, number, ctx.resources.tesseract, language))
        await tell(number, total)
    return _Kept(
        text=join_pages([page.text for page in pages]),
        confidence=whole_confidence([(page.text, page.confidence) for page in pages]),
        pages=[
            ReadPage(number=number, confidence=round(page.confidence, 2), source=page.source)
            for number, page in enumerate(pages, 1)
        ],
    )


def _key(chosen: Chosen) -> str:
    return f"{chosen.language}/{_WAY_OF_READING}"


async def _recall(ctx: Context[OcrResources], digest: bytes, chosen: Chosen) -> _Kept | None:
    days = ctx.resources.cache_days
    if not days:
        return None
    async with ctx.resources.pool.acquire() as connection:
        found = await rotc.readings.recall(connection, digest, _key(chosen), days=days)
    return None if found is None else _Kept.model_validate(found)


async def _keep(ctx: Context[OcrResources], digest: bytes, chosen: Chosen, kept: _Kept) -> None:
    days = ctx.resources.cache_days
    if days:
        async with ctx.resources.pool.acquire() as connection:
            await rotc.readings.keep(connection, digest, _key(chosen), kept.model_dump(mode="json"), days=days)
