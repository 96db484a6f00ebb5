"""Probes and metrics as Kubernetes and Prometheus see them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

import httpx
import pytest
from muster.contracts.errors import ConfigurationError
from muster.observability.server import AdminServer, Check, CheckResult
from muster.settings import Settings
from muster_local.ports import free_port
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.registry import Collector


@asynccontextmanager
async def serving(
    checks: Mapping[str, Check],
    live: Callable[[], bool] = lambda: True,
    registry: CollectorRegistry | None = None,
) -> AsyncIterator[httpx.AsyncClient]:
    port = free_port()
    settings = Settings(http_host="127.0.0.1", http_port=port)
    server = AdminServer(settings, checks, live, registry=registry or CollectorRegistry())
    await server.start()
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
            yield http
    finally:
        await server.stop()


async def good() -> CheckResult:
    return True, "3 brokers"


async def bad() -> CheckResult:
    return False, "connection refused: postgresql://rotc:hunter2@db/rotc"


async def stuck() -> CheckResult:
    await asyncio.Event().wait()
    return True, ""


async def broken() -> CheckResult:
    raise RuntimeError("the check itself broke")


async def test_a_service_whose_checks_pass_is_ready() -> None:
    async with serving({"kafka": good}) as http:
        assert (await http.get("/readyz")).text == "ok"
        assert (await http.get("/readyz?verbose")).text == "[+]alive ok\n[+]kafka ok: 3 brokers\nreadyz check passed\n"


async def test_a_failed_check_is_named_and_its_secrets_are_not() -> None:
    async with serving({"kafka": good, "database": bad}) as http:
        answer = await http.get("/readyz")
    assert answer.status_code == 503
    assert "[-]database failed: connection refused" in answer.text
    assert "hunter2" not in answer.text


async def test_a_failed_check_can_be_left_out() -> None:
    async with serving({"database": bad}) as http:
        assert (await http.get("/readyz?exclude=database")).status_code == 200


async def test_a_check_that_hangs_or_breaks_is_a_failed_check() -> None:
    async with serving({"kafka": stuck, "database": broken}) as http:
        answer = await http.get("/readyz", timeout=5)
    assert answer.status_code == 503
    assert "[-]kafka failed: no answer within 0.8 s" in answer.text
    assert "[-]database failed: RuntimeError: the check itself broke" in answer.text


async def test_a_service_that_is_not_alive_says_so_and_is_not_ready() -> None:
    async with serving({}, live=lambda: False) as http:
        assert (await http.get("/livez")).status_code == 503
        assert (await http.get("/readyz")).status_code == 503


async def test_liveness_does_not_depend_on_the_neighbours() -> None:
    async with serving({"database": bad}) as http:
        assert (await http.get("/livez")).text == "ok"


async def test_metrics_come_as_text_or_as_openmetrics() -> None:
    registry = CollectorRegistry()
    Counter("muster_things", "Things counted.", registry=registry).inc()
    async with serving({}, registry=registry) as http:
        text = await http.get("/metrics")
        open_metrics = await http.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert "muster_things_total 1.0" in text.text
    assert text.headers["content-type"].startswith("text/plain")
    assert open_metrics.headers["content-type"].startswith("application/openmetrics-text")
    assert open_metrics.text.endswith("# EOF\n")


class BrokenCollector(Collector):
    def collect(self) -> list[object]:  # type: ignore[override]
        raise RuntimeError("no metrics today")

    def describe(self) -> list[object]:
        return []


async def test_metrics_that_break_are_an_answer_too() -> None:
    registry = CollectorRegistry()
    registry.register(BrokenCollector())
    async with serving({}, registry=registry) as http:
        assert (await http.get("/metrics")).status_code == 500
        assert (await http.get("/livez")).status_code == 200


async def test_port_zero_opens_nothing() -> None:
    server = AdminServer(Settings(http_port=0), {}, lambda: True)
    await server.start()
    await server.stop()


async def test_a_taken_port_is_one_clear_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        settings = Settings(http_host="127.0.0.1", http_port=taken.getsockname()[1])
        with pytest.raises(ConfigurationError, match="set MUSTER_HTTP_PORT to a free port"):
            await AdminServer(settings, {}, lambda: True).start()
