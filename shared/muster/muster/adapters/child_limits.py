"""The limits under which a child process runs one function: when it is interrupted, and how much memory it may take.

Killing a child from outside is processes.py's business.
"""

from __future__ import annotations

import resource
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType

from muster.contracts.errors import MemoryLimitExceeded, SoftTimeLimitExceeded

_MB = 1024 * 1024
#: An interval timer of 0 would be none at all.
_AT_ONCE = 1e-6


class SoftAlarm:
    """Raises SoftTimeLimitExceeded in the main thread at `at` (`time.monotonic()`), unless the body has ended by then.

    Python raises between two of its own instructions: native code hears of it when it returns. Only the hard limit,
    which kills the child, ends native code.
    """

    def __init__(self, at: float, limit: float) -> None:
        self._at, self._limit = at, limit
        self._armed = False

    def __enter__(self) -> None:
        self._armed = True
        signal.signal(signal.SIGALRM, self._ring)
        signal.setitimer(signal.ITIMER_REAL, max(_AT_ONCE, self._at - time.monotonic()))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # First, so that an alarm on its way raises nothing where the answer is being made.
        self._armed = False
        signal.setitimer(signal.ITIMER_REAL, 0)

    def _ring(self, number: int, frame: FrameType | None) -> None:
        if self._armed:
            self._armed = False
            raise SoftTimeLimitExceeded(self._limit)


@contextmanager
def memory_limited(megabytes: int) -> Iterator[None]:
    """Let allocations beyond `megabytes` of private memory fail in the body.

    RLIMIT_DATA, not RLIMIT_AS: mapped files, shared memory and address space that is only reserved (the arenas of
    threads) count for nothing. Not a watch over the resident size either: it would look too late at a child that takes
    a gigabyte between two looks, and could only kill it, where this lets the function fail with its own traceback.

    Raises:
        MemoryLimitExceeded: in place of the body's MemoryError.
    """
    before, hard = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = megabytes * _MB
    resource.setrlimit(resource.RLIMIT_DATA, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))
    try:
        yield
    except MemoryError as error:
        raise MemoryLimitExceeded(megabytes) from error
    finally:
        # What follows, telling the parent, must not fail for lack of memory.
        resource.setrlimit(resource.RLIMIT_DATA, (before, hard))
