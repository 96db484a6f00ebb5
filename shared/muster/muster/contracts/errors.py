"""The error tree: who raises what, and what happens next. No logic lives here.

MusterError
├── ConfigurationError        settings that cannot work; the process does not start
├── ContractError             data that breaks its contract
│   ├── InvalidRecord           a Kafka record that is no task: dead letter `invalid`
│   │   └── Unauthenticated       nobody vouches for it: dead letter `unauthenticated`
│   ├── InvalidParameters       parameters against the task's schema: dead letter `invalid`
│   └── InvalidSchedule         a schedule that cannot be read or could never fire: it is passed over
├── TaskError                 raised by task functions to say what should happen
│   ├── PermanentError          can never succeed: dead letter `permanent`
│   │   └── PayloadDamaged        a payload is not what was put into its store
│   ├── Retry                   run me again, after my own delay if I name one
│   ├── TimeLimitExceeded       the hard limit stopped the task
│   │   └── SoftTimeLimitExceeded   raised inside the task, which may still return what it has
│   └── MemoryLimitExceeded     a function wanted more memory than its child process may use
├── BrokerError               Kafka refused or did not answer
│   └── CommitRefused           the records belong to another worker now
├── StoreError                PostgreSQL refused or did not answer
├── PayloadUnavailable        a payload cannot be put into its store, or had from it, now
└── ClientError               what a caller of the client sees
    ├── SubmitRefused           the API or the catalog refused a submission
    ├── NotAllowed              the key or token is missing, wrong, or lacks the role
    ├── Unreachable             the API did not answer in the time given
    ├── TaskEnded               a revocation came too late
    ├── UnknownTask             no task has this id
    ├── TaskFailed              `get()` on a task that ended in FAILURE or REVOKED
    └── WaitTimeout             the task had not ended in the time given
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

#: What decoding the bytes of a stranger can raise: broken JSON, broken text, or JSON nested too deep.
UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class MusterError(Exception):
    """Root of every error that the engine raises on purpose."""


class ConfigurationError(MusterError):
    """A setting is missing or cannot work; the message names it and says what to set."""


class ContractError(MusterError):
    """Data from outside breaks the contract it came under."""


class InvalidRecord(ContractError):
    """A record of a lane that cannot be read as a task; its raw bytes go to the dead letter."""


class Unauthenticated(InvalidRecord):
    """A record without a signature that is accepted here; not even its id is believed."""


@dataclass(frozen=True)
class Problem:
    """One bad field: where it is (`a.b.0`), what is wrong with it, and a stable code."""

    field: str
    message: str
    code: str = "invalid"


class InvalidParameters(ContractError):
    """Parameters that do not fit the task type's schema; `problems` names each bad field."""

    def __init__(self, task_type: str, problems: tuple[Problem, ...]) -> None:
        self.task_type = task_type
        self.problems = problems
        listed = "; ".join(f"{p.field}: {p.message}" for p in problems)
        super().__init__(f"{task_type} refused its parameters: {listed}")


class InvalidSchedule(ContractError):
    """A schedule that cannot be read, could never fire, or would mean two things."""


class TaskError(MusterError):
    """Root of what a task function raises to steer its own outcome."""


class PermanentError(TaskError):
    """The task can never succeed; it goes straight to the dead letter."""


class PayloadDamaged(PermanentError):
    """What lies in the store is not what was put there, or is larger than may be read."""


class Retry(TaskError):
    """Run the task again; `after` (seconds) replaces the delay of the retry policy."""

    def __init__(self, message: str = "the task asked to be run again", *, after: float | None = None) -> None:
        super().__init__(message)
        self.after = after


class TimeLimitExceeded(TaskError):
    """The task ran longer than its limit (seconds)."""

    def __init__(self, limit: float, *, hard: bool) -> None:
        kind = "hard" if hard else "soft"
        super().__init__(f"the task ran longer than its {kind} time limit of {limit:g} s")
        self.limit = limit
        self.hard = hard


class SoftTimeLimitExceeded(TimeLimitExceeded):
    """The soft limit (seconds) is reached: catch it to clean up, or to return what there is, before the hard one."""

    def __init__(self, limit: float) -> None:
        super().__init__(limit, hard=False)

    def __reduce__(self) -> tuple[type[SoftTimeLimitExceeded], tuple[float]]:
        return type(self), (self.limit,)


class MemoryLimitExceeded(TaskError):
    """A function wanted more memory than its child process may use (MB); it failed alone, and may be tried again.

    Not final by itself: what a child before it left behind may have cost the memory, and the limit can be raised. A
    task type whose need is decided by its parameters says `permanent=(MemoryLimitExceeded,)`.
    """

    def __init__(self, limit_mb: int) -> None:
        super().__init__(
            f"the task wanted more than {limit_mb} MB of memory in its child process: give it less to do at once, "
            "or raise MUSTER_CHILD_MEMORY_MB or the memory_mb of the task"
        )
        self.limit_mb = limit_mb

    def __reduce__(self) -> tuple[type[MemoryLimitExceeded], tuple[int]]:
        return type(self), (self.limit_mb,)


class BrokerError(MusterError):
    """Kafka refused a request or did not answer in time."""


class CommitRefused(BrokerError):
    """The group moved on: the records of this commit belong to someone else now."""


class StoreError(MusterError):
    """PostgreSQL refused a statement or did not answer in time."""


class PayloadUnavailable(MusterError):
    """The store of payloads did not answer, is not configured here, or lacks what was asked for."""


class ClientError(MusterError):
    """Root of what a caller of the client can meet."""


class SubmitRefused(ClientError):
    """The API refused a submission; `problems` names each bad field when there are any."""

    def __init__(self, message: str, problems: tuple[Problem, ...] = ()) -> None:
        super().__init__(message)
        self.problems = problems


class NotAllowed(ClientError):
    """The API knows no such key or token, or its owner may not do this."""


class Unreachable(ClientError):
    """The API did not answer, or was not ready, for as long as the caller would wait."""


class TaskEnded(ClientError):
    """The task had ended before it could be taken back."""


class UnknownTask(ClientError):
    """No task has this id."""


class TaskFailed(ClientError):
    """The task ended without a result; `state` says how."""

    def __init__(self, task_id: str, state: str, message: str) -> None:
        super().__init__(f"task {task_id} ended in {state}: {message}")
        self.task_id = task_id
        self.state = state


class WaitTimeout(ClientError):
    """The task had not ended when the time given to wait for it was over."""
