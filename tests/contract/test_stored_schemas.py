"""The task types of every service still take what is stored of them, and refuse anything else before it is run."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from muster.adapters.clock import SystemClock
from muster.cli.schemas import declared_by, read_stored
from muster.contracts.errors import InvalidParameters
from muster.contracts.stored_schemas import differences
from muster.testing import TaskHarness
from muster.worker.app import TaskApp
from muster.worker.outcome import DeadLetter

ROOT = Path(__file__).parents[2]
SERVICES = sorted(file.parents[1].name for file in (ROOT / "services").glob("*/*_service/tasks.py"))
NONSENSE: dict[str, Any] = {"no such parameter": True}


def app_of(service: str) -> TaskApp[Any]:
    app: TaskApp[Any] = importlib.import_module(f"{service}_service.tasks").app
    return app


@pytest.mark.parametrize("service", SERVICES)
def test_stored_tasks_are_still_accepted(service: str) -> None:
    found = differences(read_stored(ROOT / "services" / service / "schemas"), declared_by(app_of(service)))

    breaking = [sentence for one in found if not one.is_safe for sentence in one.sentences()]
    assert breaking == [], "tasks in lanes, on their way or dead would fail"
    assert [one.task_type for one in found] == [], "no stored task breaks: run `make schemas` and commit what it writes"


@pytest.mark.parametrize("service", SERVICES)
async def test_what_the_schema_refuses_is_never_run(service: str) -> None:
    """The API judges by the announced schema, the worker by the model: both refuse, and the function is not called."""
    app = app_of(service)
    harness = TaskHarness(app, None, SystemClock())
    for name, task in app.tasks.items():
        announced = task.describe(service, "").parameters
        assert not jsonschema.Draft202012Validator(announced).is_valid(NONSENSE), f"{name} takes any name"
        with pytest.raises(InvalidParameters):
            task.validate(NONSENSE)
        outcome = await harness.run(name, NONSENSE)
        assert isinstance(outcome, DeadLetter)
        assert outcome.failure.kind == "invalid"
        assert outcome.failure.problems, f"{name} does not name what is wrong"


def test_at_least_one_service_is_held_against_its_schemas() -> None:
    assert "media" in SERVICES
