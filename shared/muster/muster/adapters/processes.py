"""Runs pure functions in child processes that can be killed at any moment. What a child does is child_process.

Why not a library's pool: the pools we tried share one pipe and its locks between all children, so a child killed
while it sends its result (out of memory, a time limit) stops the whole pool: with pebble 5.2 for longer than 90 s.
Here each child has a pipe of its own, and its death is nobody else's business.
"""

from __future__ import annotations

import asyncio
import atexit
import multiprocessing
import os
import pickle
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Lock
from typing import Any

from muster.adapters.child_process import ChildTraceback, serve
from muster.contracts.errors import MemoryLimitExceeded, MusterError, SoftTimeLimitExceeded, TimeLimitExceeded
from muster.contracts.limits import NO_LIMITS, ChildLimits

#: Spawn, not fork: a fork of a process with threads and an event loop can deadlock. Not forkserver: its children die
#: with the server when a SIGTERM is sent to all processes of a service, as systemd does.
_CONTEXT = multiprocessing.get_context("spawn")
JOIN_SECONDS = 5.0

#: (True, value, "") or (False, error, its traceback in the child).
Answer = tuple[bool, Any, str]


class ChildDied(MusterError):
    """The child process ended in the middle of a function: killed for lack of memory, or crashed in native code."""


class ProcessCompute:
    """At most `workers` children (ports.Compute); one starts when it is first needed and retires after `max_tasks`.

    A function may take `memory_mb` of private memory where its limits name no other; 0: as much as there is.
    """

    def __init__(self, workers: int, max_tasks: int = 1000, memory_mb: int = 0) -> None:
        self._room = asyncio.Semaphore(workers)
        # A thread per child waits on its pipe; they live as long as the pool, since a child dies with the thread
        # that started it (PR_SET_PDEATHSIG).
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="muster-compute")
        self._max_tasks = max_tasks
        self._memory_mb = memory_mb
        self._idle: list[_Child] = []
        self._children: set[_Child] = set()
        self._closed = False
        # multiprocessing waits for its children at exit, and ours ignore the SIGTERM that it sends them.
        atexit.register(self._kill_all)

    @property
    def children(self) -> int:
        """Child processes alive now."""
        return len(self._children)

    async def run(
        self,
        function: Callable[..., Any],
        *args: Any,
        timeout: float | None = None,
        limits: ChildLimits = NO_LIMITS,
    ) -> Any:
        """The function's result; its exceptions come back as themselves, with the child's traceback as their cause.

        Raises:
            TimeLimitExceeded: `timeout` seconds were over; the child was killed.
            SoftTimeLimitExceeded: the function did not catch it, or no child was free until then.
            MemoryLimitExceeded: the function wanted more memory than it may use; the child is used no more.
            ChildDied: the child ended before its answer.
        """
        if limits.memory_mb is None:
            limits = limits._replace(memory_mb=self._memory_mb)
        await self._enter(limits)
        try:
            succeeded, outcome, text = await self._ask_a_child(function, args, timeout, limits)
        finally:
            self._room.release()
        if not succeeded:
            raise outcome from ChildTraceback(text)
        return outcome

    async def close(self) -> None:
        """Kill every child; functions that still run end with ChildDied."""
        self._closed = True
        self._kill_all()
        atexit.unregister(self._kill_all)
        await asyncio.to_thread(self._threads.shutdown)

    async def _enter(self, limits: ChildLimits) -> None:
        """Wait until a child is free, at most until the soft limit."""
        left = None if limits.soft_at is None else max(0.0, limits.soft_at - time.monotonic())
        try:
            async with asyncio.timeout(left):
                await self._room.acquire()
        except TimeoutError:
            raise SoftTimeLimitExceeded(limits.soft_limit) from None

    async def _ask_a_child(
        self, function: Callable[..., Any], args: tuple[Any, ...], timeout: float | None, limits: ChildLimits
    ) -> Answer:
        if self._closed:
            raise RuntimeError("the process pool is closed")
        child = self._take()
        try:
            answer = await self._ask(child, function, (args, limits), timeout)
        except BaseException:
            self._forsake(child)
            raise
        if isinstance(answer[1], MemoryLimitExceeded):
            self._forsake(child)  # what it still holds is not worth keeping
        else:
            self._give_back(child)
        return answer

    def _forsake(self, child: _Child) -> None:
        self._children.discard(child)
        child.kill()

    async def _ask(
        self, child: _Child, function: Callable[..., Any], rest: tuple[Any, ...], timeout: float | None
    ) -> Answer:
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            async with asyncio.timeout(timeout):
                return await loop.run_in_executor(self._threads, child.ask, function, rest)
        except TimeoutError:
            # The function's own TimeoutError does not come this way: it is inside an answer.
            if timeout is None or loop.time() - started < timeout:
                raise
            raise TimeLimitExceeded(timeout, hard=True) from None

    def _take(self) -> _Child:
        if self._idle:
            return self._idle.pop()
        child = _Child()
        self._children.add(child)
        return child

    def _give_back(self, child: _Child) -> None:
        if child.served < self._max_tasks and not self._closed:
            self._idle.append(child)
            return
        self._children.discard(child)
        self._threads.submit(child.retire)

    def _kill_all(self) -> None:
        self._idle.clear()
        while self._children:
            self._children.pop().kill()


class _Child:
    """One process and its pipe. `ask` runs in a thread; `kill` may come from any other at any moment."""

    def __init__(self) -> None:
        self.served = 0
        self._lock = Lock()
        self._killed = False
        self._ours: Any = None
        self._process: Any = None

    def ask(self, function: Callable[..., Any], rest: tuple[Any, ...]) -> Answer:
        request = pickle.dumps((function, *rest), pickle.HIGHEST_PROTOCOL)
        if self._process is None:
            self._start()
        try:
            self._ours.send_bytes(request)
            answer = self._ours.recv_bytes()
        except (EOFError, OSError) as error:
            raise ChildDied(self._obituary(function)) from error
        self.served += 1
        # Here, in the thread: loading 50 MB would hold up the event loop.
        decoded: Answer = pickle.loads(answer)  # noqa: S301  comes from our own child
        return decoded

    def kill(self) -> None:
        with self._lock:
            self._killed = True
            if self._process is not None:
                _kill_session(self._process)

    def retire(self) -> None:
        """Let the child end by itself, and wait for it."""
        self._ours.close()
        self._process.join(JOIN_SECONDS)
        self.kill()

    def _start(self) -> None:
        ours, theirs = _CONTEXT.Pipe()
        process = _CONTEXT.Process(target=serve, args=(theirs, os.getpid()), name="muster-compute", daemon=True)
        with self._lock, theirs:
            if self._killed:
                ours.close()
                raise ChildDied("the process pool was closed before the child had started")
            blocked = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
            try:
                process.start()
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
            self._ours, self._process = ours, process

    def _obituary(self, function: Callable[..., Any]) -> str:
        self._process.join(JOIN_SECONDS)
        code = self._process.exitcode
        self._ours.close()
        how = f"was killed by {signal.Signals(-code).name}" if code is not None and code < 0 else f"ended with {code}"
        name = getattr(function, "__qualname__", repr(function))
        return f"the child process that ran {name} {how} before its answer (out of memory, or a crash in native code)"


def _kill_session(process: Any) -> None:
    """Kill the child and what it started; before it has its own session, the child alone."""
    if process.exitcode is not None:
        return
    with suppress(ProcessLookupError):
        if os.getpgid(process.pid) == process.pid:
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
