"""Has a report drawn in a child process that can be killed, and tells the pages done. What is drawn is domain's."""

from __future__ import annotations

import asyncio
import os
import struct
import tempfile
from collections.abc import Callable
from typing import TypeVar

from muster.worker.context import Context

from reports_service.domain.document import Rendered
from reports_service.domain.flow import OnPage
from reports_service.resources import ReportsResources

D = TypeVar("D")
_TOLD = struct.Struct("<II")
_EVERY_PAGES = 20
_LOOK_SECONDS = 0.5


async def render_report(ctx: Context[ReportsResources], function: Callable[[D, OnPage], Rendered], data: D) -> Rendered:
    """The finished PDF; pages are told as progress while it is drawn."""
    descriptor, path = tempfile.mkstemp(prefix="muster-report-")
    watch = asyncio.create_task(_watch(ctx, descriptor))
    try:
        return await ctx.compute(draw_telling, function, data, path)
    finally:
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)
        os.close(descriptor)
        os.unlink(path)


async def _watch(ctx: Context[ReportsResources], descriptor: int) -> None:
    last = 0
    while True:
        told = os.pread(descriptor, _TOLD.size, 0)
        if len(told) == _TOLD.size:
            page, pages = _TOLD.unpack(told)
            if page > last:
                last = page
                await ctx.progress(page, pages, "pages")
        await asyncio.sleep(_LOOK_SECONDS)


def draw_telling(function: Callable[[D, OnPage], Rendered], data: D, path: str) -> Rendered:
    """Run in the child: it has no channel but its answer, so pages are told through a small file."""
    with open(path, "r+b", buffering=0) as told:

        def on_page(page: int, pages: int) -> None:
            if page % _EVERY_PAGES == 0 or page == pages:
                os.pwrite(told.fileno(), _TOLD.pack(page, pages), 0)

        return function(data, on_page)
