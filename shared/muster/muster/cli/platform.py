"""`muster workers` and `muster catalog`: who runs tasks, and which. Asked of the API, or read straight from Kafka."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
from rich.table import Table
from rich.text import Text

from muster.cli.output import PATIENCE, JsonOption, out, print_json, run
from muster.client import ClientSettings, TrackerApi
from muster.client.catalog import read_catalog
from muster.client.heartbeats import WorkerView, read_workers
from muster.connect import reach, read_environment, read_settings
from muster.contracts.catalog import TaskDescription
from muster.settings import Settings


class WorkerRow(msgspec.Struct, frozen=True, kw_only=True):
    """A worker as --json prints it, whoever was asked. Times in seconds or UTC."""

    worker: str
    service: str
    host: str = ""
    version: str = ""
    slots: int = 0
    running: int = 0
    tasks: tuple[str, ...] = ()
    alive: bool = True
    last_beat_at: datetime | None = None
    started_at: datetime | None = None
    rss_bytes: int = 0


def workers(json: JsonOption = False) -> None:
    """Show the workers of the last hour, with their slots and running tasks.

    Asks the API when MUSTER_API_URL is set, else reads the heartbeats in Kafka.

    Example: muster workers --json
    """
    rows = run(_workers(), json=json)
    if json:
        print_json(rows)
        return
    if not rows:
        out.print("No worker has been heard of in the last hour.")
        return
    table = Table(box=None, pad_edge=False)
    for name in ("WORKER", "SERVICE", "STATE", "BUSY", "MEMORY", "LAST BEAT", "VERSION"):
        table.add_column(name, justify="right" if name in ("BUSY", "MEMORY") else "left")
    for row in rows:
        state = Text("alive", "green") if row.alive else Text("gone", "red")
        beat = f"{row.last_beat_at:%H:%M:%S} UTC" if row.last_beat_at else ""
        memory = f"{row.rss_bytes / 2**20:.0f} MB" if row.rss_bytes else ""
        table.add_row(row.worker, row.service, state, f"{row.running}/{row.slots}", memory, beat, row.version)
    out.print(table)


def catalog(json: JsonOption = False) -> None:
    """Show every task type that workers have announced, with its parameters.

    Asks the API when MUSTER_API_URL is set, else reads the catalog in Kafka.

    Example: muster catalog --json
    """
    found = run(_catalog(), json=json)
    if json:
        print_json(found)
        return
    if not found:
        out.print("No worker has announced a task type yet.")
        return
    table = Table(box=None, pad_edge=False)
    for name in ("TASK TYPE", "SERVICE", "LANE", "PARAMETERS"):
        table.add_column(name)
    for item in found:
        table.add_row(item.task_type, item.service, item.default_lane, _parameters(item))
    out.print(table)


async def _workers() -> list[WorkerRow]:
    settings = read_settings()
    if settings.api_url is not None:
        return [_from_api(item) for item in _items(await _ask(settings, "workers"), "workers")]
    lease = read_environment(Settings).lease_seconds
    views = await read_workers(*reach(settings), datetime.now(UTC))
    # Trackers beat for the sake of their own clock; they run no tasks.
    return [_from_beat(view, lease) for view in views if view.beat.service != "tracker"]


async def _catalog() -> list[TaskDescription]:
    settings = read_settings()
    if settings.api_url is not None:
        items = _items(await _ask(settings, "catalog"), "task_types")
        return msgspec.convert(items, list[TaskDescription], strict=False)
    found = await read_catalog(*reach(settings))
    return [found[name] for name in sorted(found)]


async def _ask(settings: ClientSettings, what: str) -> Any:
    api = TrackerApi(settings, patience=PATIENCE)
    try:
        return await (api.workers() if what == "workers" else api.catalog())
    finally:
        await api.close()


def _items(answer: Any, name: str) -> list[Any]:
    """The list in an answer, alone or as a member."""
    found = answer.get(name, answer.get("items", [])) if isinstance(answer, dict) else answer
    return found if isinstance(found, list) else []


def _from_api(item: dict[str, Any]) -> WorkerRow:
    return msgspec.convert({**item, "last_beat_at": item.get("at")}, WorkerRow, strict=False)


def _from_beat(view: WorkerView, lease: float) -> WorkerRow:
    beat = view.beat
    return WorkerRow(
        worker=beat.worker,
        service=beat.service,
        host=beat.host,
        version=beat.version,
        slots=beat.slots,
        running=beat.running,
        tasks=beat.tasks,
        alive=view.alive(lease),
        last_beat_at=beat.at,
        started_at=beat.started_at,
        rss_bytes=beat.rss_bytes,
    )


def _parameters(item: TaskDescription) -> str:
    """`image_data entity_type entity_id [max_size] [quality]`: optional ones in brackets."""
    required = set(item.parameters.get("required", ()))
    names = item.parameters.get("properties", {})
    return " ".join(name if name in required else f"[{name}]" for name in names)
