"""What can be submitted: task types as their workers announced them, with their compiled schemas."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import jsonschema
import msgspec
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError
from muster.contracts.catalog import TaskDescription, decode_description
from muster.contracts.errors import Problem
from muster.ports import Clock

from tracker_service.database import Pool

#: A worker that announces a new type is seen this much later at most.
CACHE_SECONDS = 2.0
MAX_PROBLEMS = 50
_READ = "SELECT description FROM muster.catalog WHERE description IS NOT NULL ORDER BY task_type"


class Catalog:
    """The announced task types, read again every two seconds while somebody asks."""

    def __init__(self, pool: Pool, clock: Clock) -> None:
        self._pool = pool
        self._clock = clock
        self._read_at = float("-inf")
        self._types: dict[str, TaskDescription] = {}
        self._validators: dict[str, tuple[TaskDescription, Draft202012Validator]] = {}

    async def all(self) -> list[TaskDescription]:
        if self._clock.monotonic() - self._read_at > CACHE_SECONDS:
            rows = await self._pool.fetch(_READ)
            described = (decode_description(row["description"]) for row in rows)
            self._types = {description.task_type: description for description in described}
            self._read_at = self._clock.monotonic()
        return list(self._types.values())

    async def find(self, task_type: str) -> TaskDescription | None:
        await self.all()
        return self._types.get(task_type)

    def problems(self, description: TaskDescription, parameters: dict[str, Any]) -> tuple[Problem, ...]:
        """Each bad field of parameters; none when they fit."""
        known = self._validators.get(description.task_type)
        if known is None or known[0] != description:
            known = (description, _validator(description.parameters))
            self._validators[description.task_type] = known
        found = sorted(known[1].iter_errors(parameters), key=lambda error: [str(step) for step in error.absolute_path])
        return tuple(problem for error in found[:MAX_PROBLEMS] for problem in _problems(error))


def _validator(schema: dict[str, Any]) -> Draft202012Validator:
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError:
        # A worker announced nonsense; it will judge the parameters itself.
        return Draft202012Validator({})
    return Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())


def _problems(error: ValidationError) -> Iterable[Problem]:
    """In our own words: the library's sentences repeat the value, which may be an image or somebody's address."""
    where, wanted = ".".join(str(step) for step in error.absolute_path), cast(Any, error.validator_value)
    if error.validator == "required" and isinstance(error.instance, dict):
        missing = [name for name in wanted if name not in error.instance]
        return [Problem(_join(where, str(name)), "is required", "required") for name in missing]
    if error.validator == "additionalProperties" and isinstance(error.instance, dict):
        allowed = error.schema.get("properties", {}) if isinstance(error.schema, dict) else {}
        extra = [name for name in error.instance if name not in allowed]
        return [Problem(_join(where, str(name)[:100]), "is no parameter of this task", "unknown") for name in extra]
    return [Problem(where or "parameters", _sentence(error), str(error.validator))]


def _sentence(error: ValidationError) -> str:
    wanted = cast(Any, error.validator_value)
    match error.validator:
        case "type":
            return f"must be {' or '.join(wanted) if isinstance(wanted, list) else wanted}"
        case "enum":
            return f"must be one of {_short(wanted)}"
        case "const":
            return f"must be {_short(wanted)}"
        case "anyOf" | "oneOf":
            kinds = [str(choice["type"]) for choice in wanted if isinstance(choice, dict) and "type" in choice]
            return f"must be {' or '.join(kinds)}" if kinds else "has none of the allowed forms"
        case "minimum" | "exclusiveMinimum" | "maximum" | "exclusiveMaximum" | "minLength" | "maxLength" | "pattern":
            return f"must keep to {error.validator} {_short(wanted)}"
        case "minItems" | "maxItems" | "multipleOf" | "format":
            return f"must keep to {error.validator} {_short(wanted)}"
        case _:
            return f"breaks the rule {error.validator} of this task's schema"


def _short(value: object) -> str:
    return msgspec.json.encode(value).decode()[:200]


def _join(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name
