"""The admin port of a service: /livez, /readyz and /metrics. What is checked is the service's own knowledge.

Nothing here may hurt the service: every check is bounded in time, every error becomes an answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from muster.contracts.errors import ConfigurationError
from muster.observability.logging import get_logger
from muster.observability.metrics import REGISTRY
from muster.observability.redaction import redact_text
from muster.settings import Settings

#: True when the part works, and a short sentence that may be shown.
CheckResult = tuple[bool, str]
Check = Callable[[], Awaitable[CheckResult]]
#: Kubernetes gives a probe 1 s by default; an answer that says what is stuck is worth more than none.
CHECK_SECONDS = 0.8

log = get_logger(__name__)


class AdminServer:
    """Serves the probes and the metrics on `http_host:http_port`; does nothing when the port is 0."""

    def __init__(
        self,
        settings: Settings,
        checks: Mapping[str, Check],
        live: Callable[[], bool],
        *,
        registry: CollectorRegistry = REGISTRY,
    ) -> None:
        self._host, self._port = settings.http_host, settings.http_port
        self._checks = dict(checks)
        self._live = live
        self._registry = registry
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Listen.

        Raises:
            ConfigurationError: the port cannot be had.
        """
        if not self._port:
            return
        app = web.Application()
        app.add_routes(
            [web.get("/livez", self._livez), web.get("/readyz", self._readyz), web.get("/metrics", self._metrics)]
        )
        runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
        await runner.setup()
        try:
            await web.TCPSite(runner, self._host, self._port).start()
        except OSError as error:
            await runner.cleanup()
            reason = error.strerror or str(error)
            raise ConfigurationError(
                f"the admin port {self._host}:{self._port} cannot be opened ({reason}): "
                "set MUSTER_HTTP_PORT to a free port, or to 0 to do without"
            ) from error
        self._runner = runner
        log.info("Admin port is open", action="admin.started", host=self._host, port=self._port)

    async def stop(self) -> None:
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def _livez(self, request: web.Request) -> web.Response:
        return _answer("livez", {"alive": self._alive()}, request)

    async def _readyz(self, request: web.Request) -> web.Response:
        excluded = set(request.query.getall("exclude", []))
        names = [name for name in self._checks if name not in excluded]
        results = await asyncio.gather(*(_bounded(name, self._checks[name]) for name in names))
        return _answer("readyz", {"alive": self._alive(), **dict(zip(names, results, strict=True))}, request)

    def _alive(self) -> CheckResult:
        try:
            return (True, "") if self._live() else (False, "the service says that it is not")
        except Exception as error:  # noqa: BLE001  a broken probe is an answer, not a crash
            return False, type(error).__name__

    async def _metrics(self, request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        try:
            body = encode(self._registry)
        except Exception:
            log.exception("Metrics could not be collected", action="admin.metrics_failed")
            return web.Response(status=500, text="metrics could not be collected, see the log\n")
        response = web.Response(body=body, headers={"Content-Type": content_type})
        response.enable_compression()
        return response


async def _bounded(name: str, check: Check) -> CheckResult:
    try:
        return await asyncio.wait_for(check(), CHECK_SECONDS)
    except TimeoutError:
        return False, f"no answer within {CHECK_SECONDS:g} s"
    except Exception as error:  # noqa: BLE001  a broken check is a failed check
        log.warning("Readiness check broke", action="admin.check_failed", check=name, error_type=type(error).__name__)
        return False, f"{type(error).__name__}: {error}"


def _answer(probe: str, results: Mapping[str, CheckResult], request: web.Request) -> web.Response:
    """Kubernetes' own format: `ok`, or one line per check when asked (`?verbose`) or when one failed."""
    passed = all(ok for ok, _ in results.values())
    if passed and "verbose" not in request.query:
        return web.Response(text="ok", headers={"Cache-Control": "no-cache"})
    lines = [_line(name, ok, reason) for name, (ok, reason) in results.items()]
    lines.append(f"{probe} check {'passed' if passed else 'failed'}")
    return web.Response(
        status=200 if passed else 503, text="\n".join(lines) + "\n", headers={"Cache-Control": "no-cache"}
    )


def _line(name: str, ok: bool, reason: str) -> str:
    detail = redact_text(" ".join(reason.split()), limit=200)
    if ok:
        return f"[+]{name} ok" + (f": {detail}" if detail else "")
    return f"[-]{name} failed: {detail or 'no reason given'}"
