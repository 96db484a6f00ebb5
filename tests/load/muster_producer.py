"""Submits no-op tasks to Muster and prints what it measured as one JSON line: `throughput N` or `latency N`."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from datetime import UTC, datetime
from typing import Any

import asyncpg
import uvloop
from muster.client import Client, prepare
from muster.connect import connect

_DONE = "SELECT 1 FROM muster.tasks WHERE task_id = $1 AND state = 'SUCCESS'"


async def throughput(client: Client, count: int) -> dict[str, float]:
    began, used = time.time(), time.process_time()
    now = datetime.now(UTC)
    submissions = (prepare("noop", now=now, service="media") for _ in range(count))
    await client.submit_many(submissions, timeout=600)
    return {"began": began, "ended": time.time(), "cpu": time.process_time() - used}


async def latency(client: Client, count: int) -> list[float]:
    """Seconds from the call to the row that says SUCCESS, one task at a time."""
    seconds = []
    database = await asyncpg.connect(os.environ["DATABASE_URL"])
    for _ in range(count + 1):
        began = time.perf_counter()
        task_id = (await client.submit("noop", service="media")).id
        while await database.fetchval(_DONE, task_id) is None:  # noqa: ASYNC110  a row of another process
            await asyncio.sleep(0.001)
        seconds.append(time.perf_counter() - began)
        await asyncio.sleep(0.01)
    await database.close()
    # The first one also connects.
    return seconds[1:]


async def _main(mode: str, count: int) -> Any:
    async with connect() as client:
        return await (throughput if mode == "throughput" else latency)(client, count)


if __name__ == "__main__":
    print(json.dumps(uvloop.run(_main(sys.argv[1], int(sys.argv[2])))))  # noqa: T201  the answer to the bench
