"""`muster schedules`: what runs by itself, and when next. Read straight from Kafka; changing it is not done here."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import msgspec
import typer
from rich.table import Table
from rich.text import Text

from muster.cli.output import JsonOption, out, print_json, run
from muster.client.schedules import ScheduleView, read_schedules
from muster.connect import reach, read_settings

app = typer.Typer(no_args_is_help=True, help="Show the periodic tasks.")


@app.callback()
def schedules() -> None:
    """Show the periodic tasks."""


@app.command("list")
def list_schedules(
    count: Annotated[int, typer.Option("--count", "-n", min=1, max=100, help="Next instants to show of each.")] = 1,
    json: JsonOption = False,
) -> None:
    """Show every schedule with its last and next instants, told in its own time zone.

    Example: muster schedules list --count 3
    """

    async def work() -> list[ScheduleView]:
        return await read_schedules(*reach(read_settings()), datetime.now(UTC), count=count)

    found = run(work(), json=json)
    if json:
        print_json([_plain(view) for view in found])
    elif not found:
        out.print("There is no schedule. The scheduler writes the defaults when it first starts.")
    else:
        out.print(_table(found))


def _plain(view: ScheduleView) -> dict[str, object]:
    """One object, with defaults told: who reads it need not know them."""
    schedule: dict[str, object] = {name: getattr(view.schedule, name) for name in view.schedule.__struct_fields__}
    return schedule | {"last": msgspec.to_builtins(view.last), "next": view.next}


def _table(found: list[ScheduleView]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("SCHEDULE", "WHEN", "TIME ZONE", "NEXT", "LAST", "TASK"):
        table.add_column(name)
    for view in found:
        item = view.schedule
        upcoming = "\n".join(_local(view, instant) for instant in view.next)
        never = Text("never again" if item.enabled else "switched off", style="yellow")
        last = _local(view, view.last.instant) if view.last else "never"
        table.add_row(item.name, item.timing, item.time_zone, upcoming or never, last, item.task_type)
    return table


def _local(view: ScheduleView, instant: datetime) -> str:
    return f"{instant.astimezone(view.schedule.zone):%a %Y-%m-%d %H:%M:%S}"
