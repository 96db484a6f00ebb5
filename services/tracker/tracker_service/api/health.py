"""Whether the installation works: brokers, database, workers, projection. Old names are kept beside the real ones."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

from muster.contracts.errors import BrokerError
from muster.observability.server import CheckResult

from tracker_service.api.context import Api
from tracker_service.projection.store import UNAVAILABLE

CHECK_SECONDS = 2.0
#: A projection further behind than this is worth an alarm.
LAG_SECONDS = 60.0

_WORKERS = """
    SELECT worker, service, slots, running, host, version, started_at, at, rss_bytes, tasks FROM muster.workers
    WHERE NOT leaving AND service <> 'tracker' AND at > now() - make_interval(secs => $1) ORDER BY worker"""


async def live_workers(api: Api) -> list[dict[str, Any]]:
    """Workers whose heartbeat is fresh."""
    return [dict(row) for row in await api.pool.fetch(_WORKERS, api.settings.lease_seconds)]


async def check_database(api: Api) -> CheckResult:
    await api.pool.fetchval("SELECT 1")
    return True, "answers"


async def check_kafka(api: Api) -> CheckResult:
    """The own heartbeats come back: producing and consuming both work."""
    silence = api.beats.silence
    return silence <= 3 * api.settings.beat_seconds + 1, f"own heartbeat came back {silence:.1f} s ago"


async def health_body(api: Api) -> tuple[dict[str, Any], bool]:
    """The answer of GET /celery/health, and whether all is well."""
    database, kafka = await asyncio.gather(_result(check_database(api)), _result(check_kafka(api)))
    workers: list[dict[str, Any]] = []
    if database:
        try:
            workers = await live_workers(api)
        except UNAVAILABLE:
            database = False
    lag = api.freshness.lag_seconds
    parts = {"workers_status": bool(workers), "kafka": kafka, "database": database, "projection": lag < LAG_SECONDS}
    named = {name: _word(well) for name, well in parts.items()}
    well = all(parts.values())
    queues = sorted({lane for worker in workers for lane in api.topics.lanes(worker["service"])})
    body = {
        "overall": _word(well),
        "celery": named["workers_status"],
        "redis": named["kafka"],
        "workers": [worker["worker"] for worker in workers],
        "queues": queues,
        **named,
        "projection_lag_seconds": round(lag, 3),
        "timestamp": api.clock.now(),
    }
    return body, well


async def public_body(api: Api) -> tuple[dict[str, Any], bool]:
    """The answer of GET /health: nothing about who works where."""
    body, _ = await health_body(api)
    checks = {"database": body["database"], "redis": body["kafka"], "kafka": body["kafka"], "celery": body["celery"]}
    serving = checks["database"] == checks["kafka"] == _word(well=True)
    status = "healthy" if body["overall"] == "healthy" else "degraded" if serving else "unhealthy"
    return {"status": status, "timestamp": body["timestamp"], "checks": checks}, serving


async def _result(check: Awaitable[CheckResult]) -> bool:
    try:
        return (await asyncio.wait_for(check, CHECK_SECONDS))[0]
    except (BrokerError, *UNAVAILABLE):
        return False


def _word(well: bool) -> str:
    return "healthy" if well else "unhealthy"
