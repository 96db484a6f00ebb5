"""`muster chaos run`: its options, its progress bar and its exit codes. What happens in between is session.py's."""

from __future__ import annotations

import json as json_module
import logging
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from muster_local.chaos.plan import Plan, Target

if TYPE_CHECKING:
    from muster_local.chaos.session import Told

#: Exit codes, those of the other commands of `muster` where they mean the same.
VIOLATED, NOT_STARTED, INTERRUPTED = 1, 3, 130

app = typer.Typer(
    no_args_is_help=True, help="Break a whole installation on purpose, and count what became of its tasks."
)


@app.callback()
def chaos() -> None:
    """Break a whole installation on purpose, and count what became of its tasks."""


@app.command()
def run(
    tasks: Annotated[int, typer.Option(min=1, help="How many tasks, of all kinds.")] = Plan.tasks,
    seconds: Annotated[float, typer.Option(min=1, help="Over how long they are submitted and faults happen.")] = (
        Plan.seconds
    ),
    kill_every: Annotated[float, typer.Option(min=0.1, help="Seconds between two faults, on average.")] = (
        Plan.kill_every
    ),
    workers: Annotated[int, typer.Option(min=1, max=32, help="Worker processes.")] = Plan.workers,
    slots: Annotated[int, typer.Option(min=1, max=1000, help="Tasks that a worker runs at once.")] = Plan.slots,
    lease: Annotated[float, typer.Option(min=3, help="A worker silent for so many seconds is dead.")] = Plan.lease,
    seed: Annotated[int | None, typer.Option(help="The same seed draws the same tasks and faults.")] = None,
    spare: Annotated[list[Target] | None, typer.Option(help="Leave this one alone; may be given again.")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep logs and data, and say where.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Run 20,000 tasks while everything is killed, and count what was lost.

    It starts a Kafka, a PostgreSQL, a tracker, a scheduler and workers of its own, and touches nothing else. Workers,
    scheduler, tracker and Kafka are ended by SIGKILL and SIGTERM and started again, members join and leave the group.

    Exit codes: 0 nothing lost, stuck, doubled or early; 1 something was; 2 wrong usage; 3 a part could not be started;
    130 interrupted. Logs and data are kept when something was violated.

    Examples:

      muster chaos run

      muster chaos run --tasks 2000 --seconds 30 --seed 7 --json

      muster chaos run --spare broker --lease 6
    """
    plan = Plan(tasks, seconds, kill_every, workers, slots, lease, _seed(seed), frozenset(spare or ()))
    raise typer.Exit(_run(plan, keep=keep, json=json))


def _run(plan: Plan, *, keep: bool, json: bool) -> int:
    # Imported here: every other command of `muster` starts without Kafka's and PostgreSQL's machinery.
    from muster.contracts.errors import MusterError
    from rich.console import Console
    from rich.text import Text

    from muster_local.chaos.report import as_json, show
    from muster_local.chaos.session import run_chaos
    from muster_local.errors import LocalError

    # aiokafka tells of each connection that a killed broker refuses, several times a second.
    logging.getLogger("aiokafka").addHandler(logging.NullHandler())
    # Whoever ends us wants the processes ended too that we have started.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    console = Console(stderr=json, highlight=False, soft_wrap=True)
    folder = Path(tempfile.mkdtemp(prefix="muster-chaos-"))
    # PostgreSQL does not run as root; its own account must be able to enter.
    folder.chmod(0o755)
    worth_keeping = True
    try:
        with _bar(plan.tasks) as told:
            findings = run_chaos(folder, plan, told)
        worth_keeping = keep or bool(findings.verdict.violations())
    except (LocalError, MusterError) as error:
        console.print(Text(f"Chaos had to stop: {error}", style="red"))
        return NOT_STARTED
    except KeyboardInterrupt:
        worth_keeping = keep
        return INTERRUPTED
    finally:
        _leave(folder, worth_keeping)
    if json:
        sys.stdout.write(json_module.dumps(as_json(findings, plan)) + "\n")
    else:
        show(console, findings, plan)
    return VIOLATED if findings.verdict.violations() else 0


def _seed(given: int | None) -> int:
    import random

    return random.randrange(10**6) if given is None else given  # noqa: S311


def _leave(folder: Path, worth_keeping: bool) -> None:
    if worth_keeping:
        typer.echo(f"Logs and data: {folder}", err=True)
    else:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _bar(tasks: int) -> Iterator[Told]:
    """A bar on a terminal, gone when the work is done; nothing elsewhere."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description:9}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        step = bar.add_task("starting", total=tasks)
        yield lambda what, done: bar.update(step, description=what, completed=done)
