"""The blocking client, for Django views and scripts: the asynchronous one on an event loop of its own thread."""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
import weakref
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any, Self, TypeVar, Unpack

from muster.client.client import SUBMIT_SECONDS, Client, SubmitOptions
from muster.client.result import AsyncResult
from muster.client.submission import Submission
from muster.client.views import TaskStatus
from muster.contracts.errors import ClientError

T = TypeVar("T")
_CLOSE_SECONDS = 10.0
#: Loops that a fork left behind. They are kept, not closed: they share the parent's epoll, and tidying up here would
#: take the parent's sockets out of it.
_LEFT_BY_FORK: list[object] = []


class SyncClient:
    """Made from a factory, because each process after a fork needs connections of its own; any thread may use it."""

    def __init__(self, factory: Callable[[], Awaitable[Client]]) -> None:
        self._factory = factory
        self._guard = threading.Lock()
        self._running: _Running | None = None
        _forget_after_fork(weakref.ref(self))
        atexit.register(self.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def submit(
        self,
        task_type: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        timeout: float = SUBMIT_SECONDS,
        **options: Unpack[SubmitOptions],
    ) -> SyncResult:
        """Submit one task; when this returns, it is safely in Kafka. Raises as `Client.submit` does."""
        result = self.run(lambda client: client.submit(task_type, parameters, timeout=timeout, **options))
        return SyncResult(result, self)

    def submit_many(self, submissions: Iterable[Submission], *, timeout: float = SUBMIT_SECONDS) -> list[SyncResult]:
        """Submit many prepared tasks, pipelined."""
        results = self.run(lambda client: client.submit_many(submissions, timeout=timeout))
        return [SyncResult(result, self) for result in results]

    def result(self, task_id: str) -> SyncResult:
        """A task submitted by anyone, by its id."""
        return SyncResult(self._run_plain(task_id), self)

    def run(self, work: Callable[[Client], Coroutine[Any, Any, T]]) -> T:
        """The outcome of a coroutine of the asynchronous client."""
        return self._started().run(work)

    def close(self) -> None:
        """Hand over what is under way, then disconnect; the client can be used again afterwards."""
        with self._guard:
            running, self._running = self._running, None
        if running is not None:
            running.close()

    def _run_plain(self, task_id: str) -> AsyncResult:
        return self._started().client.result(task_id)

    def _started(self) -> _Running:
        with self._guard:
            if self._running is None:
                self._running = _Running(self._factory)
            return self._running

    def after_fork(self) -> None:
        """Called in the child: connections, and the thread that served them, are the parent's."""
        # The thread is gone in the child, and the lock may be held by a thread that is gone too.
        _LEFT_BY_FORK.append(self._running)
        self._guard, self._running = threading.Lock(), None


def _forget_after_fork(client: weakref.ref[SyncClient]) -> None:
    def forget() -> None:
        if (alive := client()) is not None:
            alive.after_fork()

    os.register_at_fork(after_in_child=forget)


class _Running:
    """One event loop in a daemon thread, and the client that lives on it."""

    def __init__(self, factory: Callable[[], Awaitable[Client]]) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="muster-client", daemon=True)
        self._thread.start()
        try:
            self.client = self._wait(_awaited(factory))
        except BaseException:
            self._end()
            raise

    def run(self, work: Callable[[Client], Coroutine[Any, Any, T]]) -> T:
        return self._wait(work(self.client))

    def close(self) -> None:
        try:
            self._wait(self.client.close(), timeout=_CLOSE_SECONDS)
        except FutureTimeout:
            raise ClientError(f"the client could not disconnect within {_CLOSE_SECONDS:g} s") from None
        finally:
            self._end()

    def _wait(self, work: Coroutine[Any, Any, T], *, timeout: float | None = None) -> T:
        if threading.current_thread() is self._thread:
            work.close()
            raise ClientError("the blocking client was called on its own event loop: use muster.client.Client there")
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(timeout)
        except BaseException:
            # Ctrl-C in the caller's thread must not leave the request running.
            future.cancel()
            raise

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_CLOSE_SECONDS)
        if not self._thread.is_alive():
            self._loop.close()


async def _awaited(factory: Callable[[], Awaitable[Client]]) -> Client:
    return await factory()


class SyncResult:
    """A task by its id, with the questions Celery's AsyncResult answers."""

    def __init__(self, result: AsyncResult, client: SyncClient) -> None:
        self.id = result.id
        self._result, self._client = result, client

    def __repr__(self) -> str:
        return f"SyncResult({self.id!r})"

    @property
    def task_id(self) -> str:
        return self.id

    @property
    def status(self) -> str:
        """PENDING, STARTED, RETRY, SUCCESS, FAILURE or REVOKED."""
        return self.view().status.value

    @property
    def state(self) -> str:
        return self.status

    @property
    def result(self) -> Any:
        """The result of a task that succeeded, the error's text of one that failed, None before."""
        view = self.view()
        return view.result if view.status == "SUCCESS" else view.error_message if view.ready else None

    def view(self, *, timeout: float | None = None) -> TaskStatus:
        """Where the task stands, in one question."""
        return self._client.run(lambda _: self._result.status(timeout=timeout))

    def info(self, *, wait: float = 0.0) -> dict[str, Any]:
        """Everything the API knows of the task."""
        return self._client.run(lambda _: self._result.info(wait=wait))

    def ready(self) -> bool:
        return self.view().ready

    def successful(self) -> bool:
        return self.status == "SUCCESS"

    def failed(self) -> bool:
        return self.status == "FAILURE"

    def get(self, timeout: float | None = None) -> Any:
        """The result, waiting up to `timeout` seconds for it. Raises as `AsyncResult.get` does."""
        return self._client.run(lambda _: self._result.get(timeout))

    def revoke(self, *, terminate: bool = False) -> None:
        """Ask for the task to be taken back; with `terminate` also while it runs."""
        self._client.run(lambda _: self._result.revoke(terminate=terminate))
