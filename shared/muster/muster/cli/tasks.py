"""`muster submit`, `status`, `watch` and `revoke`: one task, or a few, from the outside."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
import typer
from rich.table import Table
from rich.text import Text

from muster.cli.follow import display_for, follow
from muster.cli.output import PATIENCE, Exit, JsonOption, out, print_json, run, state_text
from muster.cli.parameters import parse_instant, parse_parameters
from muster.client import AsyncResult, SubmitOptions, TaskStatus
from muster.connect import connect
from muster.contracts.topics import Lane

TaskIdArgument = Annotated[str, typer.Argument(metavar="ID", help="Id of a task.")]
TimeoutOption = Annotated[float | None, typer.Option(help="Seconds to wait at most; then exit with 5.", min=0)]


def submit(
    task_type: Annotated[str, typer.Argument(metavar="TASK_TYPE", help="What to run; `muster catalog` lists it.")],
    parameters: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=TEXT|KEY:=JSON|KEY@FILE]...", help="Parameters; a FILE is sent as base64."),
    ] = None,
    json_parameters: Annotated[
        str | None, typer.Option(metavar="FILE", help="A JSON object of parameters; `-` reads standard input.")
    ] = None,
    lane: Annotated[Lane | None, typer.Option(help="How urgent it is; the task type decides if left out.")] = None,
    countdown: Annotated[float | None, typer.Option(help="Run it this many seconds from now.", min=0)] = None,
    eta: Annotated[str | None, typer.Option(metavar="INSTANT", help="Run it then: 2026-11-23T18:00:00+08:00.")] = None,
    expires: Annotated[float | None, typer.Option(help="Seconds after which it may not start any more.", min=0)] = None,
    order_key: Annotated[
        str | None, typer.Option(help="Tasks of one key run one after another, in this order.")
    ] = None,
    idempotency_key: Annotated[str | None, typer.Option(help="The same key names the same task.")] = None,
    service: Annotated[str | None, typer.Option(help="Its service, when no worker has announced it yet.")] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Follow it to its end.")] = False,
    timeout: TimeoutOption = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print the id alone.")] = False,
    json: JsonOption = False,
) -> None:
    """Submit a task: through the API when MUSTER_API_URL is set, else straight to Kafka.

    Examples:

      muster submit compress_and_upload_image image_data@photo.jpg entity_type=profile_pic entity_id:=7 --watch

      muster submit delete_cloudinary_image public_id=rotc/profile_pic/profile_pic_7 --countdown 60

      echo '{"days": 30}' | muster submit cleanup_old_notifications --json-parameters -
    """

    options: SubmitOptions = {
        "lane": lane, "countdown": countdown, "expires": expires, "order_key": order_key,
        "idempotency_key": idempotency_key, "service": service,
    }  # fmt: skip
    typed = parameters or (), json_parameters
    _exit_by(run(_submit(task_type, typed, eta, options, watch, timeout, quiet=quiet, json=json), json=json))


async def _submit(
    task_type: str,
    typed: tuple[Sequence[str], str | None],
    eta: str | None,
    options: SubmitOptions,
    watch: bool,
    timeout: float | None,
    *,
    quiet: bool,
    json: bool,
) -> list[TaskStatus]:
    values = parse_parameters(*typed)
    if eta:
        options["eta"] = parse_instant(eta)
    async with connect(patience=PATIENCE) as client:
        result = await client.submit(task_type, values, timeout=2 * PATIENCE, **options)
        if not (watch and json):
            _say_submitted(result, task_type, quiet=quiet, json=json)
        return await _watched([result], timeout, json=json) if watch else []


def status(
    task_id: TaskIdArgument,
    full: Annotated[bool, typer.Option("--full", help="With attempts and timeline (JSON).")] = False,
    json: JsonOption = False,
) -> None:
    """Show where a task stands. Exits with 1 when it failed or was revoked.

    Example: muster status 0198f6a2-7c1e-7d31-9f4e-0c2b7a1d5e90 --json
    """

    async def work() -> tuple[TaskStatus, dict[str, Any]]:
        async with connect(patience=PATIENCE) as client:
            result = client.result(task_id)
            return await result.status(), (await result.info()) if full else {}

    found, everything = run(work(), json=json)
    if json or full:
        print_json(everything if full else found)
    else:
        out.print(_status_table(found))
    _exit_by([found])


def watch(
    task_ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Ids of tasks.")],
    timeout: TimeoutOption = None,
    json: JsonOption = False,
) -> None:
    """Follow tasks to their end. Exits with 1 when one of them failed or was revoked.

    With --json, one line per change.

    Example: muster watch $(muster submit generate_daily_attendance_report -q)
    """

    async def work() -> list[TaskStatus]:
        async with connect(patience=PATIENCE) as client:
            return await _watched([client.result(task_id) for task_id in task_ids], timeout, json=json)

    _exit_by(run(work(), json=json))


def revoke(
    task_id: TaskIdArgument,
    terminate: Annotated[bool, typer.Option("--terminate", help="Also when it runs already.")] = False,
    json: JsonOption = False,
) -> None:
    """Take a task back before it runs, or with --terminate while it runs. Exits with 1 when it had ended.

    Example: muster revoke 0198f6a2-7c1e-7d31-9f4e-0c2b7a1d5e90 --terminate
    """

    async def work() -> None:
        async with connect(patience=PATIENCE) as client:
            await client.result(task_id).revoke(terminate=terminate)

    run(work(), json=json)
    if json:
        print_json({"task_id": task_id, "revoke_requested": True, "terminate": terminate})
    else:
        out.print(f"Revocation of {task_id} is on its way; `muster status {task_id}` shows when it is confirmed.")


async def _watched(results: list[AsyncResult], timeout: float | None, *, json: bool) -> list[TaskStatus]:
    for result in results:
        # Says at once when the tracker is away or the id unknown; the wait itself would outlast a tracker's restart.
        await result.status()
    frame, display = display_for(json=json)
    with frame:
        return await follow(results, display, timeout=timeout)


def _say_submitted(result: AsyncResult, task_type: str, *, quiet: bool, json: bool) -> None:
    if json:
        print_json({"task_id": result.id, "task_type": task_type})
    elif quiet:
        out.print(result.id)
    else:
        out.print(f"Submitted {task_type} as {result.id}")


def _exit_by(statuses: list[TaskStatus]) -> None:
    if any(found.ready and found.status != "SUCCESS" for found in statuses):
        raise typer.Exit(Exit.TASK_FAILED)


def _status_table(found: TaskStatus) -> Table:
    table = Table.grid(padding=(0, 2))
    rows: dict[str, Any] = {
        "task": found.task_id,
        "type": found.name,
        "state": state_text(found.status),
        "attempt": f"{found.attempt} of {found.max_attempts}" if found.max_attempts else found.attempt,
        "worker": found.worker,
        "progress": found.progress
        and f"{found.progress.done:g} of {found.progress.total or '?'} {found.progress.message}",
        "submitted": found.submitted_at,
        "started": found.started_at,
        "finished": found.finished_at,
        "next attempt": found.next_attempt_at,
        "waiting for": found.waiting_for,
        "type is paused": "yes" if found.paused else "",
        "revocation asked": found.revoke_requested_at,
        "result": None if found.result is None else msgspec.json.encode(found.result).decode(),
        "error": found.error_message if found.error else None,
    }
    for name, value in rows.items():
        if value not in (None, ""):
            table.add_row(name, _cell(value))
    return table


def _cell(value: object) -> Text:
    if isinstance(value, datetime):
        return Text(f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC")
    return value if isinstance(value, Text) else Text(str(value))


def _progress(found: TaskStatus) -> str:
    if found.progress is None:
        return ""
    total = f" of {found.progress.total:g}" if found.progress.total else ""
    return f"{found.progress.done:g}{total} {found.progress.message}".rstrip()
