"""TaskApp: what a service can run, declared by decorated functions. Running them is execution.py's business."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar, get_type_hints

from pydantic import BaseModel, PydanticSchemaGenerationError, TypeAdapter, ValidationError

from muster.contracts.catalog import TaskDescription
from muster.contracts.errors import ConfigurationError, InvalidParameters, Problem
from muster.contracts.retry import RetryPolicy
from muster.contracts.topics import Lane
from muster.settings import Settings

#: What is told of refused parameters.
MAX_PROBLEMS, MAX_FIELD, MAX_WORDS = 50, 200, 300
#: pydantic lists all errors or none; a million of them take six seconds, in which no heartbeat is written.
MAX_LISTED = 1000
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])
Place = Literal["loop", "process"]
Resources = Callable[[Settings], AbstractAsyncContextManager[R]]


def seconds(count: float) -> float:
    return float(count)


def minutes(count: float) -> float:
    return count * 60.0


@dataclass(frozen=True)
class TaskType:
    """One thing a service can run, with its limits. Times in seconds."""

    name: str
    function: Callable[..., Any]
    #: Model of the named parameters; None when the function takes none.
    parameters: type[BaseModel] | None
    returns: Any
    permanent: tuple[type[BaseException], ...] = ()
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    time_limit: float = minutes(30)
    #: When SoftTimeLimitExceeded is raised inside the task; None: never.
    soft_time_limit: float | None = None
    #: Private memory its functions may take in a child process; None: what the worker allows.
    memory_mb: int | None = None
    runs_in: Place = "loop"
    roles: tuple[str, ...] = ()
    default_lane: Lane = Lane.DEFAULT

    def validate(self, parameters: Mapping[str, Any]) -> BaseModel | None:
        """The parameters as the function wants them.

        Raises:
            InvalidParameters: naming every bad field.
        """
        if self.parameters is None:
            if parameters:
                unknown = tuple(
                    Problem(name, "this task takes no parameters", "extra_forbidden") for name in parameters
                )
                raise InvalidParameters(self.name, unknown)
            return None
        try:
            return self.parameters.model_validate(parameters)
        except ValidationError as error:
            raise InvalidParameters(self.name, _problems(error)) from None

    def describe(self, service: str, version: str) -> TaskDescription:
        """What is announced on `tasks.catalog`."""
        schema = self.parameters.model_json_schema() if self.parameters else _NO_PARAMETERS
        return TaskDescription(
            task_type=self.name,
            service=service,
            parameters=schema,
            result=_schema_of(self.returns),
            description=(inspect.getdoc(self.function) or "").split("\n\n")[0],
            time_limit=self.time_limit,
            soft_time_limit=self.soft_time_limit,
            max_attempts=self.retry.max_attempts,
            roles=self.roles,
            default_lane=self.default_lane.value,
            version=version,
        )


@dataclass
class TaskApp(Generic[R]):
    """The tasks of one service, and the resources they share.

    `resources` makes what every task of a worker uses (pools, clients): it is entered once per process, before the
    first task, and left after the last one.
    """

    service: str
    resources: Resources[R] | None = None
    tasks: dict[str, TaskType] = field(default_factory=dict)

    def task(
        self,
        *,
        name: str | None = None,
        permanent: tuple[type[BaseException], ...] = (),
        retry: RetryPolicy | None = None,
        time_limit: float = minutes(30),
        soft_time_limit: float | None = None,
        memory_mb: int | None = None,
        runs_in: Place = "loop",
        roles: tuple[str, ...] = (),
        lane: Lane = Lane.DEFAULT,
    ) -> Callable[[F], F]:
        """Declare a task. The function stays what it was, so tests can call it.

        Args:
            permanent: exceptions after which trying again is useless.
            time_limit: seconds until the task is stopped, whatever it does.
            soft_time_limit: seconds until SoftTimeLimitExceeded is raised inside it, where it waits or computes.
            memory_mb: what its functions may take in a child process; None: MUSTER_CHILD_MEMORY_MB.
            runs_in: "loop" for `async def`; "process" for blocking `def` without resources, run in a killable child.
            roles: who may submit it through the API; empty: any approved user.
        """

        def declare(function: F) -> F:
            task = TaskType(
                name=name or function.__name__,
                function=function,
                parameters=_parameters_of(function),
                returns=get_type_hints(function).get("return"),
                permanent=permanent,
                retry=retry or RetryPolicy(),
                time_limit=time_limit, soft_time_limit=soft_time_limit, memory_mb=memory_mb, runs_in=runs_in,
                roles=roles,
                default_lane=lane,
            )  # fmt: skip
            self._add(task)
            return function

        return declare

    def _add(self, task: TaskType) -> None:
        if task.name in self.tasks:
            raise ConfigurationError(f"service {self.service} declares task {task.name} twice")
        if inspect.iscoroutinefunction(task.function) != (task.runs_in == "loop"):
            wanted = "async def" if task.runs_in == "loop" else "def"
            raise ConfigurationError(f"task {task.name} runs in a {task.runs_in}: write it as `{wanted}`")
        if task.soft_time_limit is not None and not 0 < task.soft_time_limit < task.time_limit:
            raise ConfigurationError(f"task {task.name}: soft_time_limit must lie between 0 and its time_limit")
        if task.memory_mb is not None and task.memory_mb <= 0:
            raise ConfigurationError(f"task {task.name}: memory_mb must be above 0")
        self.tasks[task.name] = task


_NO_PARAMETERS: dict[str, Any] = {"type": "object", "properties": {}, "additionalProperties": False}


def _parameters_of(function: Callable[..., Any]) -> type[BaseModel] | None:
    names = list(inspect.signature(function).parameters)
    if len(names) not in (1, 2):
        raise ConfigurationError(f"task {function.__name__} must take (ctx) or (ctx, params), not {names}")
    if len(names) == 1:
        return None
    model = get_type_hints(function).get(names[1])
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        raise ConfigurationError(f"task {function.__name__}: annotate `{names[1]}` with a pydantic model")
    return model


def _schema_of(annotation: Any) -> dict[str, Any]:
    if annotation is None:
        return {}
    try:
        return TypeAdapter(annotation).json_schema()
    except PydanticSchemaGenerationError:
        return {}


def _problems(error: ValidationError) -> tuple[Problem, ...]:
    """At most MAX_PROBLEMS, each of bounded length: they travel in a header, and who sent them chose the names."""
    count = error.error_count()
    if count > MAX_LISTED:
        return (Problem("(all)", f"{count:,} fields are not valid", "too_many"),)
    found = error.errors(include_url=False, include_input=False, include_context=False)
    problems = [
        Problem(
            (".".join(str(part) for part in item["loc"]) or "(all)")[:MAX_FIELD], item["msg"][:MAX_WORDS], item["type"]
        )
        for item in found[:MAX_PROBLEMS]
    ]
    if count > MAX_PROBLEMS:
        problems.append(Problem("(more)", f"and {count - MAX_PROBLEMS:,} more fields", "more"))
    return tuple(problems)
