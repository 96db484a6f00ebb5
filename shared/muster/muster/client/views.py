"""What the API says of a task, as the client reads it. Fields the client does not know are left alone."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from muster.contracts.states import TaskState


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a running task has come; `total` is None when the task does not know."""

    done: float = 0
    total: float | None = None
    message: str = ""


class TaskStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The short answer: where the task stands, and how it ended."""

    task_id: str
    status: TaskState
    result: Any = None
    #: A sentence, or an object with `message` and `kind`.
    error: Any = None
    progress: Progress | None = None
    name: str = ""
    attempt: int = 1
    max_attempts: int | None = None
    submitted_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    next_attempt_at: datetime | None = None
    revoke_requested_at: datetime | None = None
    #: Id of the task in front of it, when it waits for the turn of its order key.
    waiting_for: str | None = None
    #: No task of its type is started until the type is resumed.
    paused: bool = False
    worker: str | None = None

    @property
    def ready(self) -> bool:
        """The task has ended, one way or another."""
        return self.status.terminal

    @property
    def error_message(self) -> str:
        """Why it failed, as one sentence."""
        if isinstance(self.error, dict):
            return str(self.error.get("message") or self.error)
        return str(self.error or "no reason was given")


def read_status(body: dict[str, Any]) -> TaskStatus:
    """The status in an answer of the API; `state` is understood as well as `status`.

    Raises:
        msgspec.ValidationError: the answer is no task.
    """
    if "status" not in body and "state" in body:
        body = {**body, "status": body["state"]}
    return msgspec.convert(body, TaskStatus, strict=False)
