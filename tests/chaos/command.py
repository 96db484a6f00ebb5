"""The command line of chaos: submit, kill, wait, count, say. Each of these is a module of its own."""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import shutil
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from muster_local.errors import LocalError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from .installation import Installation
from .monkey import Monkey
from .submission import submit
from .verdict import Verdict, judge

#: After the last fault, this long without any task ending means that the rest is stuck.
PATIENCE_SECONDS = 60.0
_ENDED = "SELECT count(*) FROM muster.tasks WHERE finished_at IS NOT NULL"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=20_000)
    parser.add_argument("--seconds", type=float, default=120.0, help="over which tasks are submitted and faults happen")
    parser.add_argument("--kill-every", type=float, default=3.0, help="seconds between two ends, on average")
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--slots", type=int, default=32)
    parser.add_argument("--seed", type=int, default=None, help="of kinds, pace and victims; drawn when left out")
    parser.add_argument("--broker", action="store_true", help="kill Kafka itself once, half-way")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--keep", action="store_true", help="keep logs and data, and say where")
    return parser.parse_args()


def main() -> int:
    """0 when nothing was lost, stuck, doubled or early; 1 otherwise."""
    options = _arguments()
    options.seed = random.randrange(10**6) if options.seed is None else options.seed
    console = Console(stderr=options.json)
    folder = Path(tempfile.mkdtemp(prefix="muster-chaos-"))
    # PostgreSQL does not run as root; its own account must be able to enter.
    folder.chmod(0o755)
    verdict = None
    try:
        installation = Installation(folder, options.workers, options.slots)
        try:
            verdict, facts = asyncio.run(_run(installation, options, console))
        finally:
            installation.stop()
    except LocalError as error:
        console.print(f"[red]Chaos could not start:[/] {error}")
        return 1
    finally:
        if options.keep or verdict is None or verdict.violations():
            console.print(f"Logs and data: {folder}", style="dim")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return _say(console, verdict, facts, options)


async def _run(
    installation: Installation, options: argparse.Namespace, console: Console
) -> tuple[Verdict, dict[str, Any]]:
    await installation.prepare()
    monkey = Monkey(installation, random.Random(options.seed), options.kill_every)
    began = time.monotonic()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        step = bar.add_task("submitted", total=options.tasks)
        killing = asyncio.create_task(monkey.run())
        breaking = asyncio.create_task(_break_kafka(installation, options))
        dice = random.Random(options.seed + 1)
        submitted = await submit(
            installation, options.tasks, options.seconds, dice, lambda done: bar.update(step, completed=done)
        )
        away = await breaking
        monkey.stop()
        await killing
        bar.update(step, description="ended", completed=0)
        await _settled(installation, monkey, options.tasks, bar, step)
    verdict = await judge(installation, submitted)
    facts = {
        "seed": options.seed, "ends": dict(sorted(monkey.ends.items())), "broker_away_seconds": round(away, 1),
        "unacknowledged": len(submitted.unacknowledged), "extra_runs_bound": monkey.worker_ends * options.slots,
        "seconds": round(time.monotonic() - began, 1),
    }  # fmt: skip
    return verdict, facts


async def _break_kafka(installation: Installation, options: argparse.Namespace) -> float:
    if not options.broker:
        return 0.0
    await asyncio.sleep(options.seconds / 2)
    return await asyncio.to_thread(installation.restart_broker)


async def _settled(installation: Installation, monkey: Monkey, tasks: int, bar: Progress, step: TaskID) -> None:
    """Return when every task has ended, or none did for too long."""
    connection = await installation.connect()
    ended, changed = -1, time.monotonic()
    try:
        while ended < tasks and time.monotonic() - changed < PATIENCE_SECONDS:
            now_ended = await connection.fetchval(_ENDED)
            if now_ended != ended:
                ended, changed = now_ended, time.monotonic()
            bar.update(step, completed=ended)
            monkey.revive()
            await asyncio.sleep(0.25)
    finally:
        await connection.close()


def _say(console: Console, verdict: Verdict, facts: dict[str, Any], options: argparse.Namespace) -> int:
    violations = verdict.violations()
    if verdict.extra_runs > facts["extra_runs_bound"]:
        violations["extra_runs"] = verdict.extra_runs
    if options.json:
        print(json.dumps(asdict(verdict) | facts | {"violations": violations}, indent=2))  # noqa: T201
        return 1 if violations else 0
    figures = {name.replace("_", " "): value for name, value in (asdict(verdict) | facts).items() if name != "named"}
    for name, value in figures.items():
        console.print(f"{name:>20}  {value}")
    for name, task_ids in verdict.named.items():
        console.print(f"[red]{name}[/]: {', '.join(task_ids)}")
    console.print("[red]violated[/]" if violations else "[green]nothing lost, stuck, doubled or early[/]")
    return 1 if violations else 0
