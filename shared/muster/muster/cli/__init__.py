"""The command `muster`: its entry point and the list of its commands. What they do is in the modules beside."""

from __future__ import annotations

import os
import sys
from importlib.metadata import entry_points
from typing import Annotated

import typer

from muster import __version__
from muster.cli import dlq, pauses, platform, schedules, schemas, signing, tasks, topics

#: Other installed packages add commands by entry points of this group: name -> Typer. The engine imports none of them.
COMMANDS = "muster.commands"
_EPILOG = (
    "Environment: KAFKA_BOOTSTRAP_SERVERS (localhost:9092), MUSTER_API_URL (http://localhost:8000), "
    "MUSTER_API_KEY or MUSTER_TOKEN, MUSTER_SUBMIT_VIA (api when MUSTER_API_URL is set, else kafka). "
    "Exit codes: 0 done, 1 the task failed, 2 wrong usage or refused, 3 Kafka or the tracker cannot be reached, "
    "4 unknown task, 5 timeout, 6 not allowed."
)

app = typer.Typer(
    name="muster",
    help="Background work on Kafka: submit tasks, follow them, look after the platform.",
    epilog=_EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for command in (
    tasks.submit, tasks.status, tasks.watch, tasks.revoke, pauses.pause, pauses.resume, platform.workers,
    platform.catalog, signing.resign,
):  # fmt: skip
    app.command()(command)
app.add_typer(topics.app, name="topics")
app.add_typer(dlq.app, name="dlq")
app.add_typer(schedules.app, name="schedules")
app.add_typer(schemas.app, name="schemas")
for plugged in entry_points(group=COMMANDS):
    app.add_typer(plugged.load(), name=plugged.name)


def main() -> None:
    """Entry point of the `muster` script."""
    try:
        app()
    except BrokenPipeError:
        # `muster ... | head` closed our stdout; keep the interpreter from failing over it once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"muster {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Background work on Kafka: submit tasks, follow them, look after the platform."""
