"""The command `muster-local`: up, demo, down, logs, status, env. Says things to a person and decides nothing itself."""

import asyncio
import json
import shlex
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any

import psutil
import typer
from rich.console import Console
from rich.table import Table

from muster_local.board import Board
from muster_local.errors import LocalError
from muster_local.follow import follow, last_lines
from muster_local.home import cache, home
from muster_local.session import end_everything, load_state, running, start_in_background, wait_until_ready
from muster_local.stack import read_environment
from muster_local.state import PartRecord
from muster_local.tracked import token_of_first_admin

# What a shell expects of a program that Ctrl-C ended before it was done.
_INTERRUPTED = 130

app = typer.Typer(
    help="The whole system on this machine: real Kafka, real PostgreSQL, a Cloudinary of its own, every service.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command()
def up(
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Return when all is ready; `down` ends it.")] = False,
) -> None:
    """Start everything and look after it until Ctrl-C."""
    board = Board()
    if detach:
        begun = time.monotonic()
        start_in_background([sys.executable, "-m", "muster_local", "up"])
        board.console.print(f"Everything is up after {time.monotonic() - begun:.1f} s.")
        _say_where(board.console)
        return
    code = _INTERRUPTED
    with _until_signal(board.console), running(board):
        code = 0
        _say_where(board.console)
        signal.pause()
    raise typer.Exit(code)


@app.command()
def demo(
    once: Annotated[bool, typer.Option("--once", help="End everything afterwards.")] = False,
    seed: Annotated[int | None, typer.Option(help="The same seed draws the same photos.")] = None,
) -> None:
    """Start everything, send 12 photos, 3 letters, 5 reports, a push and a mail through it, let a task fail, and show
    what came of it.

    Exit code 0 when every photo and report could be fetched back whole, every letter was read, push and mail arrived,
    and an admin was told of the failure.
    """
    board = Board()
    if load_state().supervised():
        wait_until_ready()
        raise typer.Exit(_jobs(board.console, seed))
    code = _INTERRUPTED
    with _until_signal(board.console), running(board):
        code = _jobs(board.console, seed)
        if not once:
            _say_where(board.console)
            signal.pause()
    raise typer.Exit(code)


def _jobs(console: Console, seed: int | None) -> int:
    """What the demo shows, one kind after the other; the exit code of the first that went wrong."""
    # Imported here: the other commands start half a second sooner without Pillow and the Cloudinary SDK.
    from muster_local.alert_job import run_alert_job
    from muster_local.letters_job import run_letters_job
    from muster_local.mail_job import run_mail_job
    from muster_local.main_job import run_main_job
    from muster_local.push_job import run_push_job
    from muster_local.reports_job import run_reports_job

    env = read_environment(home())
    later = (run_reports_job, run_letters_job, run_push_job, run_mail_job, run_alert_job)
    return run_main_job(env, console, seed) or next((code for job in later if (code := job(env, console))), 0)


@app.command()
def down() -> None:
    """End everything that was started from this project, and nothing else."""
    ended = end_everything(load_state())
    typer.echo(f"Ended: {', '.join(ended)}." if ended else "Nothing was running.")


@app.command()
def logs(
    service: Annotated[str | None, typer.Argument(help="One part, like media; all when left out.")] = None,
    keep_on: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many lines of each log to begin with.")] = 40,
) -> None:
    """Show what the parts write."""
    files = {file.stem: file for folder in ("logs", "kafka", "postgres") for file in (home() / folder).glob("*.log")}
    if service is not None and service not in files:
        raise LocalError(f"There is no log of '{service}': choose one of {', '.join(sorted(files)) or 'none yet'}.")
    chosen = {service: files[service]} if service else files
    for name, line in last_lines(chosen, lines):
        typer.echo(f"{name:<12} {line}")
    if keep_on:
        _follow(chosen)


@app.command()
def status(as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False) -> None:
    """Say what runs and where. Exit code 1 when something that should run does not."""
    state = load_state()
    parts = [_describe(name, record) for name, record in state.parts.items()]
    if as_json:
        typer.echo(json.dumps({"running": state.supervised(), "ready": state.ready, "parts": parts}))
    elif not parts:
        typer.echo("Nothing runs: start it with `make up` or `make demo`.")
    else:
        Console().print(_status_table(parts))
    raise typer.Exit(0 if state.supervised() and parts and all(part["alive"] for part in parts) else 1)


@app.command()
def env() -> None:
    """Print the environment of the running system, secrets included, for `eval "$(muster-local env)"`.

    MUSTER_TOKEN signs `muster` and curl in as an admin of the demo data, for an hour.
    """
    told = dict(read_environment(home()))
    try:
        told["MUSTER_TOKEN"] = asyncio.run(token_of_first_admin(told))
    except LocalError as error:
        typer.echo(f"MUSTER_TOKEN is left out: {error}", err=True)
    for name, value in told.items():
        typer.echo(f"export {name}={shlex.quote(value)}")


@app.command("lock-kafka")
def lock_kafka() -> None:
    """Resolve Kafka's jars anew and write their names and checksums to kafka.lock."""
    from muster_local.maven import write_lock

    typer.echo(f"{write_lock(cache())} jars written to kafka.lock.")


@contextmanager
def _until_signal(console: Console) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        console.print("Asked to stop.")
    console.print("Everything that was started has ended.")


def _say_where(console: Console) -> None:
    told = read_environment(home())
    console.print(f"API      {told['MUSTER_API_URL']}/api/tasks", soft_wrap=True)
    console.print(f"Kafka    {told['KAFKA_BOOTSTRAP_SERVERS']}", soft_wrap=True)
    console.print(f"Pictures {told['CLOUDINARY_UPLOAD_PREFIX']}", soft_wrap=True)
    console.print(f"Mails    {told['MAIL_URL']}", soft_wrap=True)
    console.print('For `muster`, psql and others: eval "$(.venv/bin/muster-local env)"', soft_wrap=True)
    console.print("It stays up until Ctrl-C or `make down`.")


def _follow(files: dict[str, Path]) -> None:
    with suppress(KeyboardInterrupt):
        for name, line in follow(files, threading.Event()):
            typer.echo(f"{name:<12} {line}")


def _describe(name: str, record: PartRecord) -> dict[str, Any]:
    process = record.identity.process()
    described: dict[str, Any] = {
        "name": name,
        "alive": process is not None,
        "address": record.address,
        "pid": record.pid,
        "restarts": record.restarts,
        "uptime_seconds": round(time.time() - record.created) if process else None,
        "memory_bytes": None,
        "log": record.log,
    }
    with suppress(psutil.Error):
        if process:
            family = [process, *process.children(recursive=True)]
            described["memory_bytes"] = sum(member.memory_info().rss for member in family)
    return described


def _status_table(parts: list[dict[str, Any]]) -> Table:
    table = Table("part", "state", "address", "pid", "restarts", "up", "memory")
    for part in parts:
        seconds, memory = part["uptime_seconds"], part["memory_bytes"]
        table.add_row(
            part["name"],
            "[green]alive[/]" if part["alive"] else "[red]dead[/]",
            part["address"] or "starting",
            str(part["pid"]),
            str(part["restarts"]),
            f"{seconds} s" if seconds is not None else "",
            f"{memory // 1024**2} MB" if memory else "",
        )
    return table


def main() -> None:
    """Run the command line; what a person can act on is one sentence on stderr, not a traceback."""
    try:
        app()
    except LocalError as error:
        typer.echo(f"Error: {error}", err=True)
        sys.exit(2)
