"""The tracker's REST API as the client uses it: addresses, identity, repeats. What answers mean is answers.py's."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import quote

import httpx
import msgspec

from muster.client.answers import NotNow, read_answer
from muster.client.settings import DEFAULT_API_URL, ClientSettings
from muster.contracts.errors import Unreachable
from muster.contracts.retry import RetryPolicy
from muster.observability.tracing import ambient_traceparent

#: 0.1, 0.2, 0.4 ... 2 s, each with jitter, for as long as the caller waits.
_BACKOFF = RetryPolicy(max_retries=1_000_000, base=0.1, factor=2.0, cap=2.0)
#: How long a plain request is tried.
REQUEST_SECONDS = 15.0
_CONNECT_SECONDS = 5.0
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

Sleep = Callable[[float], Awaitable[None]]


class TrackerApi:
    """One connection pool to one tracker. Requests are repeated while the tracker is away, within their time.

    Every method raises NotAllowed, Unreachable (its `timeout` seconds are over) or another ClientError.
    """

    def __init__(
        self,
        settings: ClientSettings,
        *,
        patience: float = REQUEST_SECONDS,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        """`patience`: seconds a tracker that is away is asked again, where the call itself names no timeout."""
        self.url = settings.api_url or DEFAULT_API_URL
        self._patience, self._sleep = patience, sleep
        self._rng = random.Random()  # noqa: S311  jitter, not a secret
        self._http = httpx.AsyncClient(
            base_url=f"{self.url}/api",
            headers=_identity(settings),
            transport=transport,
            # No proxy of the person's own stands between two programs of one machine.
            trust_env=httpx.URL(self.url).host not in _LOOPBACK,
            limits=httpx.Limits(max_connections=64, max_keepalive_connections=16),
        )

    async def close(self) -> None:
        await self._http.aclose()

    async def submit(self, body: Mapping[str, Any], *, timeout: float | None = None) -> str:
        """POST /tasks: the id of the new task. The body needs an idempotency key, since requests are repeated.

        Raises:
            SubmitRefused: naming each bad field.
        """
        answer = await self._request("POST", "/tasks", body=body, timeout=timeout)
        return str(answer["task_id"])

    async def status(self, task_id: str, *, timeout: float | None = None) -> dict[str, Any]:
        """GET /tasks/{id}/status: the short answer."""
        return await self._task("GET", task_id, "/status", timeout=timeout)

    async def info(self, task_id: str, *, wait: float = 0.0, timeout: float | None = None) -> dict[str, Any]:
        """GET /tasks/{id}: everything; the answer may be held back `wait` seconds until the task ends."""
        query = {"wait": f"{wait:.3f}"} if wait > 0 else {}
        return await self._task("GET", task_id, "", query=query, hold=wait, timeout=timeout)

    async def revoke(self, task_id: str, *, terminate: bool = False) -> dict[str, Any]:
        """POST /tasks/{id}/revoke.

        Raises:
            TaskEnded: too late.
        """
        return await self._task("POST", task_id, "/revoke", body={"terminate": terminate})

    async def task_type(self, task_type: str, action: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """POST /task-types/{type}/pause or /resume."""
        path = f"/task-types/{quote(task_type, safe='')}/{action}"
        answer: dict[str, Any] = await self._request("POST", path, body=body)
        return answer

    async def workers(self) -> Any:
        """GET /workers."""
        return await self._request("GET", "/workers")

    async def catalog(self) -> Any:
        """GET /catalog."""
        return await self._request("GET", "/catalog")

    async def pause(self, seconds: float) -> None:
        """Wait as this connection waits between repeats."""
        await self._sleep(seconds)

    async def _task(self, method: str, task_id: str, action: str, **options: Any) -> dict[str, Any]:
        answer: dict[str, Any] = await self._request(method, f"/tasks/{quote(task_id, safe='')}{action}", **options)
        return answer

    async def _request(self, method: str, path: str, *, timeout: float | None = None, **options: Any) -> Any:
        timeout = self._patience if timeout is None else timeout
        deadline = time.monotonic() + timeout
        for turn in itertools.count(1):
            try:
                return await self._once(method, path, deadline - time.monotonic(), **options)
            except NotNow as trouble:
                pause = max(_BACKOFF.delay(turn, self._rng) or 0.0, trouble.after)
                if time.monotonic() + pause >= deadline:
                    raise Unreachable(
                        f"the tracker at {self.url} did not serve {method} /api{path} within {timeout:g} s "
                        f"({trouble}): is it running, and is MUSTER_API_URL right?"
                    ) from None
            await self._sleep(pause)

    async def _once(
        self,
        method: str,
        path: str,
        patience: float,
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
        hold: float = 0.0,
    ) -> Any:
        """One request; `hold` seconds the server may keep it come on top of `patience`."""
        patience = min(REQUEST_SECONDS, max(0.05, patience))
        try:
            response = await self._http.request(
                method,
                path,
                content=None if body is None else msgspec.json.encode(body),
                headers=_with_trace(None if body is None else {"Content-Type": "application/json"}),
                params=query,
                timeout=httpx.Timeout(patience + hold, connect=min(_CONNECT_SECONDS, patience)),
            )
        except httpx.TransportError as error:
            raise NotNow(str(error) or type(error).__name__) from error
        return read_answer(response)


def _with_trace(headers: dict[str, str] | None) -> dict[str, str] | None:
    """The caller's own span goes along, so that the task belongs to its trace."""
    found = ambient_traceparent()
    return headers if found is None else {**(headers or {}), "traceparent": found}


def _identity(settings: ClientSettings) -> dict[str, str]:
    headers = {"Accept": "application/json", "User-Agent": "muster-client"}
    if settings.api_key is not None:
        headers["X-API-Key"] = settings.api_key.get_secret_value()
    if settings.token is not None:
        headers["Authorization"] = f"Bearer {settings.token.get_secret_value()}"
    return headers
