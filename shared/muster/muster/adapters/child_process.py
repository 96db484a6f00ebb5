"""The inside of a child process: runs one function after another for its parent. The pool of them is processes.py.

Imports little: every child pays for it at its start.
"""

from __future__ import annotations

import ctypes
import os
import pickle
import signal
import sys
import traceback
from contextlib import ExitStack, suppress
from multiprocessing.connection import Connection
from pathlib import Path

from muster.adapters.child_limits import SoftAlarm, memory_limited
from muster.contracts.limits import ChildLimits

_PR_SET_PDEATHSIG = 1
#: Where memory runs out for all, the kernel shall end a child and not its worker (0 is everybody's, 1000 the most).
_OOM_SCORE = "500"
_MASTERED = (signal.SIGINT, signal.SIGTERM)


class ChildTraceback(Exception):
    """Where in the child an error was raised; hangs at the error as its cause, so that it is shown with it."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f"in the child process:\n{self.text}"


class ForeignError(Exception):
    """Stands for an error of the child that cannot be pickled, and names it."""


def serve(connection: Connection, parent: int) -> None:
    """Answer (function, arguments, limits) by (True, value, "") or (False, error, traceback) until the parent ends."""
    _detach(parent)
    while True:
        try:
            request = connection.recv_bytes()
        except EOFError:
            return
        connection.send_bytes(_answer(request))
        del request


def _detach(parent: int) -> None:
    """Live and die with the parent alone: not with its terminal, not with signals meant for the parent."""
    # A session of our own: the parent's kill reaches what we start (tesseract) too, Ctrl-C in its terminal does not.
    os.setsid()
    for number in _MASTERED:
        signal.signal(number, signal.SIG_IGN)
    # The parent blocked them around our start, so that none could hit us before this line.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _MASTERED)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        with suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE)
    if os.getppid() != parent:
        os._exit(1)


def _answer(request: bytes) -> bytes:
    try:
        function, arguments, limits = pickle.loads(request)  # noqa: S301  comes from our own parent
        with ExitStack() as stack:
            _limit(stack, limits)
            return pickle.dumps((True, function(*arguments), ""), pickle.HIGHEST_PROTOCOL)
    except BaseException as error:  # noqa: BLE001  whatever it was, the parent raises it
        return _failure(error)


def _limit(stack: ExitStack, limits: ChildLimits) -> None:
    if limits.memory_mb:
        stack.enter_context(memory_limited(limits.memory_mb))
    if limits.soft_at is not None:
        stack.enter_context(SoftAlarm(limits.soft_at, limits.soft_limit))


def _failure(error: BaseException) -> bytes:
    text = "".join(traceback.format_exception(error))
    try:
        answer = pickle.dumps((False, error, text), pickle.HIGHEST_PROTOCOL)
        # An exception whose __init__ wants more than its `args` pickles well and breaks only when it is loaded.
        travels = isinstance(pickle.loads(answer)[1], Exception)  # noqa: S301
    except Exception:  # noqa: BLE001
        travels = False
    if not travels:
        foreign = ForeignError(f"{type(error).__module__}.{type(error).__qualname__}: {error}")
        answer = pickle.dumps((False, foreign, text), pickle.HIGHEST_PROTOCOL)
    return answer
