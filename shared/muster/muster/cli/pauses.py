"""`muster pause` and `muster resume`: stop a task type from starting, and let it start again. Asked of the API."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from muster.cli.output import PATIENCE, JsonOption, out, print_json, run
from muster.client import TrackerApi
from muster.connect import read_settings

TypeArgument = Annotated[str, typer.Argument(metavar="TASK_TYPE", help="As `muster catalog` lists it.")]


def pause(
    task_type: TypeArgument,
    force: Annotated[bool, typer.Option("--force", help="Also a type that no worker has announced.")] = False,
    json: JsonOption = False,
) -> None:
    """Start no task of this type until `muster resume`; what runs goes on, and nothing that waits is lost.

    Example: muster pause ocr_excuse_letter
    """
    answer = run(_ask(task_type, "pause", {"force": force}), json=json)
    if json:
        print_json(answer)
    else:
        out.print(f"{task_type} is paused; `muster resume {task_type}` lets its tasks start again, in their order.")


def resume(task_type: TypeArgument, json: JsonOption = False) -> None:
    """Let tasks of a paused type start again, in the order in which they were submitted.

    Example: muster resume ocr_excuse_letter --json
    """
    answer = run(_ask(task_type, "resume", None), json=json)
    if json:
        print_json(answer)
    else:
        out.print(f"{task_type} is resumed.")


async def _ask(task_type: str, action: str, body: dict[str, Any] | None) -> dict[str, Any]:
    api = TrackerApi(read_settings(), patience=PATIENCE)
    try:
        return await api.task_type(task_type, action, body)
    finally:
        await api.close()
