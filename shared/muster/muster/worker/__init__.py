"""The worker: declare tasks with `TaskApp`, use `Context` inside them.

Running them is `muster.bootstrap.run_worker`.
"""

from muster.contracts.errors import PermanentError, Retry, TimeLimitExceeded
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
    "PermanentError",
    "ProcessContext",
    "Retry",
    "RetryPolicy",
    "TaskApp",
    "TaskType",
    "TimeLimitExceeded",
    "Worker",
    "minutes",
    "seconds",
]
