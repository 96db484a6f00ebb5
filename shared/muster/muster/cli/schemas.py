"""`muster schemas`: a service's parameter schemas as files, so that a change that breaks stored tasks is seen.

What breaks is said by contracts/compatibility.py.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from muster.cli.output import fail, out
from muster.contracts.errors import ConfigurationError, MusterError
from muster.contracts.schema_reading import Schema
from muster.contracts.stored_schemas import Difference, differences
from muster.worker.app import TaskApp

app = typer.Typer(help="Hold a service's parameter schemas against those its stored tasks were written under.")

AppName = Annotated[str, typer.Argument(help="The service's app, such as media_service.tasks:app.")]
Folder = Annotated[Path, typer.Argument(help="Where its schemas lie, such as services/media/schemas.")]


@app.command()
def check(service: AppName, folder: Folder) -> None:
    """Say what stored tasks would break on; exit code 2 when something would, or when the files are not up to date.

    Example: muster schemas check media_service.tasks:app services/media/schemas
    """
    with _said():
        _check(service, folder)


@app.command()
def write(
    service: AppName,
    folder: Folder,
    force: Annotated[bool, typer.Option("--break", help="Write them although stored tasks break.")] = False,
) -> None:
    """Write the schemas as they are declared now; refused while stored tasks would break on them.

    Example: muster schemas write media_service.tasks:app services/media/schemas
    """
    with _said():
        _write(service, folder, force=force)


def read_stored(folder: Path) -> dict[str, Schema]:
    """The schema of each task type that has a file here."""
    return {file.stem: msgspec.json.decode(file.read_bytes()) for file in sorted(folder.glob("*.json"))}


def declared_by(app: TaskApp[Any]) -> dict[str, Schema]:
    """The schema of each task type of this app, as it is announced."""
    found = {name: task.describe(app.service, "").parameters for name, task in app.tasks.items()}
    # As it comes out of a file: tuples are lists there.
    return {name: msgspec.json.decode(msgspec.json.encode(schema)) for name, schema in found.items()}


@contextmanager
def _said() -> Iterator[None]:
    try:
        yield
    except MusterError as error:
        fail(error, json=False)


def _check(service: str, folder: Path) -> None:
    found = differences(read_stored(folder), declared_by(_load(service)))
    _refuse_breaks(found)
    if found:
        names = ", ".join(f"{one.task_type} ({one.kind})" for one in found)
        raise ConfigurationError(f"{folder} is not up to date: {names}: run `muster schemas write {service} {folder}`")
    out.print(f"{folder}: every stored task is accepted as it was")


def _write(service: str, folder: Path, *, force: bool) -> None:
    declared = declared_by(_load(service))
    found = differences(read_stored(folder), declared)
    if not force:
        _refuse_breaks(found)
    folder.mkdir(exist_ok=True)
    for one in found:
        file = folder / f"{one.task_type}.json"
        if one.kind == "gone":
            file.unlink()
            continue
        file.write_bytes(msgspec.json.format(msgspec.json.encode(declared[one.task_type]), indent=2) + b"\n")
    out.print(f"{folder}: {len(found)} of {len(declared)} schemas written")


def _refuse_breaks(found: list[Difference]) -> None:
    sentences = [sentence for one in found if not one.is_safe for sentence in one.sentences()]
    if sentences:
        listed = "\n  ".join(sentences)
        raise ConfigurationError(f"stored tasks would break:\n  {listed}")


def _load(service: str) -> TaskApp[Any]:
    module, _, name = service.partition(":")
    try:
        app = getattr(importlib.import_module(module), name or "app")
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(f"{service} cannot be imported: {error}") from error
    if not isinstance(app, TaskApp):
        raise ConfigurationError(f"{service} is no TaskApp")
    return app
