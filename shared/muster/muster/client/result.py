"""A task seen from outside: its state now, and waiting for its end. Asking is api.py's."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from muster.client.api import TrackerApi
from muster.client.views import TaskStatus, read_status
from muster.contracts.errors import TaskFailed, UnknownTask, WaitTimeout
from muster.contracts.states import TaskState

#: The API holds a long poll at most about this long; longer waits are several of them.
LONG_POLL_SECONDS = 25.0
#: With a progress callback, how often it is told.
_PROGRESS_SECONDS = 0.5
#: A tracker that does not hold the answer back is not asked more often than this.
_HASTE_SECONDS = 0.03
#: A tracker that is away for longer ends the wait, however long that was meant to be.
_AWAY_SECONDS = 120.0

Watcher = Callable[[TaskStatus], None]


class AsyncResult:
    """A task by its id. `submitted` says that this process wrote it: unknown then means "not visible yet"."""

    def __init__(self, task_id: str, api: TrackerApi, *, submitted: bool = False) -> None:
        self.id = task_id
        self._api = api
        self._submitted = submitted

    def __repr__(self) -> str:
        return f"AsyncResult({self.id!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AsyncResult) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    async def status(self, *, timeout: float | None = None) -> TaskStatus:
        """Where the task stands.

        Raises:
            UnknownTask: no task has this id (or the caller may not see it).
        """
        try:
            return read_status(await self._api.status(self.id, timeout=timeout))
        except UnknownTask:
            if not self._submitted:
                raise
            return TaskStatus(task_id=self.id, status=TaskState.PENDING)

    async def info(self, *, wait: float = 0.0) -> dict[str, Any]:
        """Everything the API knows: attempts, timeline, children; held back up to `wait` s until the task ends."""
        return await self._api.info(self.id, wait=wait)

    async def ready(self) -> bool:
        """True when the task has ended, one way or another."""
        return (await self.status()).ready

    async def revoke(self, *, terminate: bool = False) -> None:
        """Ask for the task to be taken back; with `terminate` also while it runs.

        Raises:
            TaskEnded: it had ended already.
        """
        await self._api.revoke(self.id, terminate=terminate)

    async def get(self, timeout: float | None = None, *, on_progress: Watcher | None = None) -> Any:
        """The task's result, waiting up to `timeout` seconds for it (None: for ever).

        Raises:
            TaskFailed: it ended in FAILURE or REVOKED.
            WaitTimeout: it had not ended.
        """
        status = await self.wait(timeout, on_progress=on_progress)
        if status.status is TaskState.SUCCESS:
            return status.result
        raise TaskFailed(self.id, status.status.value, status.error_message)

    async def wait(
        self, timeout: float | None = None, *, on_progress: Watcher | None = None, every: float = _PROGRESS_SECONDS
    ) -> TaskStatus:
        """The status of the ended task; `on_progress` is told at least each `every` seconds until then.

        Raises:
            WaitTimeout: it had not ended within `timeout` seconds.
        """
        deadline = time.monotonic() + timeout if timeout is not None else float("inf")
        hold = every if on_progress else LONG_POLL_SECONDS
        while True:
            asked = time.monotonic()
            remaining = max(0.0, deadline - asked)
            status = await self._look(min(hold, remaining), min(_AWAY_SECONDS, remaining))
            if on_progress is not None:
                on_progress(status)
            if status.ready:
                return status
            if (now := time.monotonic()) >= deadline:
                raise WaitTimeout(f"task {self.id} was {status.status.value} after {timeout:g} s of waiting")
            if now - asked < _HASTE_SECONDS:
                await self._api.pause(min(_HASTE_SECONDS, deadline - now))

    async def _look(self, hold: float, patience: float) -> TaskStatus:
        """One long poll; a tracker that restarts meanwhile is waited for, up to `patience` seconds."""
        try:
            return read_status(await self._api.info(self.id, wait=hold, timeout=patience))
        except UnknownTask:
            if not self._submitted:
                raise
            return TaskStatus(task_id=self.id, status=TaskState.PENDING)
