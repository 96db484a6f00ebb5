"""The stubs that Django imports say exactly what the services announce."""

from __future__ import annotations

from typing import Any

import import_service.tasks
import media_service.tasks
import notify_service.tasks
import ocr_service.tasks
import pytest
import reports_service.tasks
import rotc.tasks
from muster.client import TaskStub, make_stubs
from muster.connect import default_client
from muster.worker.app import TaskApp

#: Every service whose tasks Django starts.
APPS: list[TaskApp[Any]] = [
    media_service.tasks.app,
    notify_service.tasks.app,
    ocr_service.tasks.app,
    reports_service.tasks.app,
    import_service.tasks.app,
]


def announced() -> list[TaskStub]:
    described = [task.describe(app.service, "test") for app in APPS for task in app.tasks.values()]
    return list(make_stubs(described, default_client).values())


@pytest.mark.parametrize("stub", announced(), ids=lambda stub: stub.name)
def test_every_announced_task_has_a_stub_with_its_parameters_in_order(stub: TaskStub) -> None:
    assert getattr(rotc.tasks, stub.name) == stub


def test_there_is_no_stub_without_a_task() -> None:
    assert set(rotc.tasks.__all__) == {stub.name for stub in announced()}
