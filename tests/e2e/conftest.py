"""Fixtures of the end-to-end stories: one system per file, its API, and its logs when a story fails. Holds no story."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from muster_local.postgres import PostgresServer
from muster_local.processes import tail

from .api import Api
from .foreign import ForeignClient
from .system import System, start_system


@pytest.fixture(scope="module")
def environment() -> dict[str, str]:
    """What all programs of the file's system are told beside their addresses."""
    return {}


@pytest.fixture(scope="module")
def system(
    kafka: str,
    postgres_server: PostgresServer,
    tmp_path_factory: pytest.TempPathFactory,
    environment: dict[str, str],
) -> Iterator[System]:
    """Tracker, scheduler and storage run; the workers are for the stories to start."""
    folder = tmp_path_factory.mktemp("system")
    name = f"e2e{abs(hash(folder)):x}"
    system = start_system(folder, kafka, f"{name}.", postgres_server.create_database(name), environment)
    yield system
    system.stop()
    postgres_server.drop_database(name)


@pytest.fixture
def api(system: System) -> Iterator[Api]:
    """The API as an admin."""
    api = Api(system)
    yield api
    api.close()


@pytest.fixture
def cadet(system: System) -> Iterator[Api]:
    """The API as an approved cadet."""
    found = system.query("SELECT min(id) FROM users WHERE role = 'cadet' AND is_approved")
    api = Api(system, int(found))
    yield api
    api.close()


@pytest.fixture(scope="module")
def foreign(kafka: str) -> ForeignClient:
    return ForeignClient(kafka)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed story shows the end of every program's log, warnings first."""
    report = yield
    found: Any = getattr(item, "funcargs", {}).get("system")
    if report.failed and isinstance(found, System):
        for program in found.programs:
            report.sections.append((f"log {program.part.log.name}", _telling(program.part.log)))
    return report


def _telling(log: Path) -> str:
    lines = tail(log, 200).splitlines()
    return "\n".join([line for line in lines[:-8] if '"level":"info"' not in line][-20:] + lines[-8:])
