"""The worker: declare tasks with `TaskApp`, use `Context` inside them.

Running them is `muster.bootstrap.run_worker`.
"""

from muster.contracts.errors import MemoryLimitExceeded, PermanentError, Retry, SoftTimeLimitExceeded, TimeLimitExceeded
from muster.contracts.retry import RetryPolicy
from muster.contracts.topics import Lane
from muster.worker.app import TaskApp, TaskType, minutes, seconds
from muster.worker.context import Context, ProcessContext
from muster.worker.files import FileReference
from muster.worker.lifecycle import Worker

__all__ = [
    "Context",
    "FileReference",
    "Lane",
    "MemoryLimitExceeded",
    "PermanentError",
    "ProcessContext",
    "Retry",
    "RetryPolicy",
    "SoftTimeLimitExceeded",
    "TaskApp",
    "TaskType",
    "TimeLimitExceeded",
    "Worker",
    "minutes",
    "seconds",
]
