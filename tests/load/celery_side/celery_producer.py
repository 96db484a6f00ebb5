"""Submits no-op tasks to Celery and prints what it measured as one JSON line: `throughput N` or `latency N`."""

from __future__ import annotations

import json
import os
import sys
import time

import psycopg
from celery_app import noop

_DONE = "SELECT 1 FROM django_celery_results_taskresult WHERE task_id = %s AND status = 'SUCCESS'"


def throughput(count: int) -> dict[str, float]:
    began, used = time.time(), time.process_time()
    for _ in range(count):
        noop.delay()
    return {"began": began, "ended": time.time(), "cpu": time.process_time() - used}


def latency(count: int) -> list[float]:
    """Seconds from the call to the row that says SUCCESS, one task at a time."""
    seconds = []
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as database:
        for _ in range(count + 1):
            began = time.perf_counter()
            task_id = noop.delay().id
            while database.execute(_DONE, (task_id,)).fetchone() is None:
                time.sleep(0.001)
            seconds.append(time.perf_counter() - began)
            time.sleep(0.01)
    # The first one also connects.
    return seconds[1:]


if __name__ == "__main__":
    measure = {"throughput": throughput, "latency": latency}[sys.argv[1]]
    print(json.dumps(measure(int(sys.argv[2]))))  # noqa: T201  the answer to the bench
