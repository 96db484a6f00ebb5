"""What a task function gets to know and to use while it runs. No decision about the task is made here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import structlog

from muster.claim_check import ClaimCheck, required
from muster.contracts.claim_check import Reference
from muster.contracts.envelope import TaskRecord
from muster.observability.logging import get_logger
from muster.ports import Compute
from muster.worker.files import FileReference

R = TypeVar("R")
T = TypeVar("T")
_log = get_logger(__name__)
Report = Callable[[float, float | None, str], Awaitable[None]]


@dataclass(frozen=True)
class Context(Generic[R]):
    """One run of one task. `resources` is what the app's resource factory made for this worker."""

    record: TaskRecord
    resources: R
    _compute: Compute
    _report: Report
    _claims: ClaimCheck | None = None

    @property
    def task_id(self) -> str:
        return self.record.task_id

    @property
    def task_type(self) -> str:
        return self.record.task_type

    @property
    def attempt(self) -> int:
        """1 for the first try; a new number after each failure."""
        return self.record.attempt

    @property
    def delivery(self) -> int:
        """How often this attempt was handed out; above 1 only after a worker was lost."""
        return self.record.delivery

    @property
    def submitter(self) -> int | None:
        """users.id of who asked for the task; None for machines."""
        return self.record.submitter

    @property
    def log(self) -> structlog.typing.FilteringBoundLogger:
        """A logger that names the task in every entry."""
        record = self.record
        bound: structlog.typing.FilteringBoundLogger = _log.bind(
            task_id=record.task_id, task_type=record.task_type, attempt=record.attempt
        )
        return bound

    async def progress(self, done: float, total: float | None = None, message: str = "") -> None:
        """Tell how far the task has come; frequent calls are thinned out. No personal data in `message`."""
        await self._report(done, total, message)

    async def compute(self, function: Callable[..., T], *args: Any) -> T:
        """Run a pure, picklable function in a child process, which dies when the task is cancelled or timed out."""
        result: T = await self._compute.run(function, *args)
        return result

    async def fetch(self, file: FileReference, *, max_bytes: int) -> bytes:
        """The file that a parameter `{"ref": ...}` stands for, compared with its SHA-256.

        Raises:
            InvalidRecord: the reference is none, or another task's.
            PayloadDamaged: it is not what was handed in, or larger than `max_bytes`.
            PayloadUnavailable: it is not there, or the store is not.
        """
        reference = Reference(ref=file.ref, size=file.size, type=file.type)
        return await required(self._claims).fetch(reference, self.task_id, max_bytes=max_bytes)


@dataclass(frozen=True)
class ProcessContext:
    """What a task that runs in a child process knows of itself (picklable)."""

    task_id: str
    task_type: str
    attempt: int
    delivery: int
    submitter: int | None
