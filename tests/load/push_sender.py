"""One process that pushes, so that its memory is its own: the broadcast task, or one push after the other.

Started by push_bench.py with a job on its standard input; prints one line of JSON. Judges nothing.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from pathlib import Path
from typing import Any

import uvloop
from muster.adapters.clock import SystemClock
from muster.adapters.fetching import FetchRules
from muster.adapters.postgres import EffectStore, create_pool
from muster.testing import TaskHarness
from muster.worker.outcome import Succeed
from notify_service.push_client import push_client
from notify_service.resources import NotifyResources
from notify_service.settings import NotifySettings
from notify_service.tasks import app
from notify_service.vapid import KeyPair, Proofs
from pydantic import SecretStr
from pywebpush import WebPushException, webpush
from rotc.connection import connected

SUBJECT = "mailto:bench@example.org"
TITLE, MESSAGE = "Formation", "Saturday 0600 at the parade ground – bring your ñame tags."


async def broadcast(job: dict[str, Any]) -> dict[str, Any]:
    """The task as a worker runs it, at its one attempt."""
    pair = KeyPair(job["public"], job["private"])
    rules = FetchRules.parse("127.0.0.1", allow_private=True)
    async with await create_pool(job["dsn"]) as pool, push_client(Proofs(pair, SUBJECT), rules) as client:
        settings = NotifySettings(database_url=SecretStr(job["dsn"]))
        resources = NotifyResources(pool, EffectStore(pool), settings, push=client)
        harness = TaskHarness(app, resources, SystemClock())
        parameters = {"title": TITLE, "message": MESSAGE, "role": job["role"]}
        before, began, cpu = peak_mb(), time.perf_counter(), time.process_time()
        outcome = await harness.run("send_broadcast_push_notification", parameters, task_id=job["task_id"])
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    if not isinstance(outcome, Succeed):
        raise SystemExit(f"the broadcast ended as {outcome}")
    told = {"result": json.loads(outcome.result), "seconds": seconds, "peak_mb": peak_mb(), "before_mb": before}
    return {**told, "cpu_seconds": cpu, "reports": len(harness.progress)}


async def one_by_one(job: dict[str, Any]) -> dict[str, Any]:
    """The way of pywebpush's own manual: each push waits for the one before."""
    query = (
        "SELECT s.endpoint, s.keys::text FROM push_subscriptions s JOIN users u ON u.id = s.user_id WHERE u.role = $1 "
        "ORDER BY s.id LIMIT $2"
    )
    async with connected(job["dsn"]) as connection:
        rows = await connection.fetch(query, job["role"], job["limit"])
    text = json.dumps({"title": TITLE, "body": "one by one"})
    began, cpu, sent = time.perf_counter(), time.process_time(), 0
    for row in rows:
        told = {"endpoint": row["endpoint"], "keys": json.loads(row["keys"])}
        try:
            # A dict of claims of its own: the library writes the audience of the first endpoint into it.
            webpush(told, text, vapid_private_key=job["private"], vapid_claims={"sub": SUBJECT}, ttl=60, timeout=10)
            sent += 1
        except WebPushException as error:
            if error.status_code not in (404, 410):
                raise
    cpu = time.process_time() - cpu
    return {"sent": sent, "tried": len(rows), "seconds": time.perf_counter() - began, "cpu_seconds": cpu}


def peak_mb() -> float:
    """VmHWM: the most memory this process ever had."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    answer = uvloop.run(broadcast(asked)) if asked["how"] == "broadcast" else asyncio.run(one_by_one(asked))
    sys.stdout.write(json.dumps(answer) + "\n")
