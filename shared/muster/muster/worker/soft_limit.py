"""The soft time limit of one run: raised where the task's coroutine waits, or inside the child that computes for it.

The hard limit, which stops the task whatever it does, is execution.py's.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from muster.contracts.errors import SoftTimeLimitExceeded
from muster.contracts.limits import NO_LIMITS, ChildLimits
from muster.ports import Compute

T = TypeVar("T")
#: Until the limit is told again, where another cancellation was under way.
_AGAIN_SECONDS = 0.01


class _SoftCancellation(SoftTimeLimitExceeded, asyncio.CancelledError):
    """What the coroutine meets. A cancellation too, so that task groups and drivers clean up as behind any other."""


class SoftLimit:
    """Tells one task once that its time (seconds) is nearly over; the time runs from here."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._at = time.monotonic() + seconds
        self._told = False
        #: The runner was cancelled by us, and the coroutine has not met it yet.
        self._ringing = False
        #: Functions in children, which are told there.
        self._computing = 0

    async def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """The coroutine's result.

        Raises:
            SoftTimeLimitExceeded: the coroutine did not catch it.
        """
        try:
            result: T = await _Watched(self, coroutine)
            return result
        except _SoftCancellation as error:
            raise SoftTimeLimitExceeded(self.seconds).with_traceback(error.__traceback__) from None

    @contextmanager
    def in_child(self, memory_mb: int | None) -> Iterator[ChildLimits]:
        """The limits of a function in a child, which is told in place of the coroutine that waits for it."""
        if self._told:
            yield ChildLimits(memory_mb=memory_mb)
            return
        self._computing += 1
        try:
            yield ChildLimits(self._at, self.seconds, memory_mb)
        finally:
            self._computing -= 1
            self._told = time.monotonic() >= self._at

    def watch(self, runner: asyncio.Task[Any]) -> Callable[[], None]:
        """Begin to wait for the limit; what is returned ends the watch."""
        loop = asyncio.get_running_loop()
        timer: asyncio.TimerHandle

        def ring() -> None:
            nonlocal timer
            if self._told:
                return
            if self._computing or runner.cancelling():
                timer = loop.call_later(_AGAIN_SECONDS, ring)
                return
            self._ringing = True
            runner.cancel()
            timer = loop.call_later(_AGAIN_SECONDS, ring)

        timer = loop.call_later(max(0.0, self._at - time.monotonic()), ring)
        return lambda: timer.cancel()

    def met(self, runner: asyncio.Task[Any], error: BaseException | None) -> BaseException | None:
        """What the coroutine meets in place of `error`, where its wait has just ended by it (None: by a value)."""
        if not self._ringing:
            return error
        self._ringing = False
        ours = runner.uncancel() == 0 and (error is None or isinstance(error, asyncio.CancelledError))
        if not ours:
            return error  # somebody else cancelled too: their word first, ours again soon
        self._told = True
        return _SoftCancellation(self.seconds)


class _Watched:
    """A coroutine whose waits are watched: `await` runs it step by step, as a Task would."""

    def __init__(self, limit: SoftLimit, coroutine: Coroutine[Any, Any, T]) -> None:
        self._limit, self._coroutine = limit, coroutine

    def __await__(self) -> Generator[Any, Any, Any]:
        runner = asyncio.current_task()
        assert runner is not None, "tasks run in asyncio tasks"  # noqa: S101
        end_watch = self._limit.watch(runner)
        step: Callable[[Any], Any] = self._coroutine.send
        value: Any = None
        try:
            while True:
                try:
                    waited_for = step(value)
                except StopIteration as done:
                    return done.value
                error: BaseException | None = None
                try:
                    value = yield waited_for
                except BaseException as raised:  # noqa: BLE001  whatever ends the wait is the coroutine's to meet
                    error = raised
                error = self._limit.met(runner, error)
                step, value = (self._coroutine.send, value) if error is None else (self._coroutine.throw, error)
        finally:
            end_watch()


class LimitedCompute:
    """A `Compute` whose functions stand under the limits of one run."""

    def __init__(self, compute: Compute, soft: SoftLimit | None, memory_mb: int | None) -> None:
        self._compute, self._soft, self._memory_mb = compute, soft, memory_mb

    async def run(
        self,
        function: Callable[..., Any],
        *args: Any,
        timeout: float | None = None,
        limits: ChildLimits = NO_LIMITS,
    ) -> Any:
        """As ports.Compute; `limits` are the run's own."""
        if self._soft is None:
            own = ChildLimits(memory_mb=self._memory_mb)
            return await self._compute.run(function, *args, timeout=timeout, limits=own)
        with self._soft.in_child(self._memory_mb) as own:
            return await self._compute.run(function, *args, timeout=timeout, limits=own)

    async def close(self) -> None:
        """The pool is the worker's to close."""
