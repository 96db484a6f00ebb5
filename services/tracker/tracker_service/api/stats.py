"""Counts and run times of the last 24 hours, in the reference document's shape and per task type. Reading only."""

from __future__ import annotations

import asyncio
from typing import Any

from tracker_service.api.context import Api
from tracker_service.api.health import live_workers

#: A day of a million tasks takes a second or two to count: once for all who ask.
CACHE_SECONDS = 10.0
_MAX_LISTED = 100

_TYPES = """
    SELECT task_type AS name, count(*) AS total,
        count(*) FILTER (WHERE state = 'SUCCESS') AS successful,
        count(*) FILTER (WHERE state = 'FAILURE') AS failed,
        count(*) FILTER (WHERE state = 'REVOKED') AS revoked,
        count(*) FILTER (WHERE finished_at IS NULL) AS pending,
        percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY extract(epoch FROM finished_at - started_at))
            FILTER (WHERE state IN ('SUCCESS', 'FAILURE')) AS runtime,
        percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY extract(epoch FROM started_at - submitted_at))
            FILTER (WHERE attempt = 1) AS wait
    FROM muster.tasks WHERE submitted_at > now() - interval '24 hours'
    GROUP BY task_type ORDER BY total DESC"""
_ACTIVE = """
    SELECT task_id, task_type AS name, worker, started_at FROM muster.tasks
    WHERE state = 'STARTED' ORDER BY submitted_at LIMIT $1"""
_SCHEDULED = """
    SELECT task_id, task_type AS name, service, next_attempt_at FROM muster.tasks
    WHERE state IN ('PENDING', 'RETRY') AND next_attempt_at > now() ORDER BY next_attempt_at LIMIT $1"""
_RESERVED = """
    SELECT service, lane, count(*) AS waiting FROM muster.tasks
    WHERE state IN ('PENDING', 'RETRY') AND (next_attempt_at IS NULL OR next_attempt_at <= now())
    GROUP BY service, lane"""


class Stats:
    """The statistics, counted at most every ten seconds."""

    def __init__(self) -> None:
        self._counting = asyncio.Lock()
        self._at = float("-inf")
        self._body: dict[str, Any] = {}

    async def read(self, api: Api) -> dict[str, Any]:
        async with self._counting:
            if api.clock.monotonic() - self._at > CACHE_SECONDS:
                self._body = await _count(api)
                self._at = api.clock.monotonic()
        return self._body


async def _count(api: Api) -> dict[str, Any]:
    types = [dict(row) for row in await api.pool.fetch(_TYPES)]
    for row in types:
        row["runtime_seconds"], row["wait_seconds"] = _percentiles(row.pop("runtime")), _percentiles(row.pop("wait"))
    active, scheduled = await api.pool.fetch(_ACTIVE, _MAX_LISTED), await api.pool.fetch(_SCHEDULED, _MAX_LISTED)
    reserved = await api.pool.fetch(_RESERVED)
    return {
        "total_tasks_24h": sum(row["total"] for row in types),
        "successful_tasks_24h": sum(row["successful"] for row in types),
        "failed_tasks_24h": sum(row["failed"] for row in types),
        "pending_tasks_24h": sum(row["pending"] for row in types),
        "revoked_tasks_24h": sum(row["revoked"] for row in types),
        "workers": {worker.pop("worker"): worker for worker in await live_workers(api)},
        "active_tasks": _grouped(active, "worker"),
        "scheduled_tasks": _grouped(scheduled, "service"),
        "reserved_tasks": {f"{row['service']}.{row['lane']}": row["waiting"] for row in reserved},
        "types": types,
    }


def _percentiles(values: list[float] | None) -> dict[str, float | None]:
    return dict(zip(("p50", "p95", "p99"), values or (None, None, None), strict=True))


def _grouped(rows: list[Any], name: str) -> dict[str, list[dict[str, Any]]]:
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        task = dict(row)
        groups.setdefault(str(task.pop(name) or "unknown"), []).append(task)
    return groups
