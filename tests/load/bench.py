"""Measures Muster beside the reference document's own stack, in one run on one machine: what `make bench` runs.

With `--against` the other side is an older revision of Muster, each with its own worker, client and tracker.
Both stacks use the same PostgreSQL server with the same durability. The procedure is benchmark/rounds.py.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from benchmark.celery_stack import CeleryStack, redis_program
from benchmark.figures import Figures, Ratios
from benchmark.muster_stack import MusterStack
from benchmark.report import as_json, show
from benchmark.revision import lay_out
from benchmark.rounds import compare
from benchmark.stack import BenchError, Stack
from muster_local.errors import LocalError
from muster_local.home import cache
from muster_local.kafka import start_kafka
from muster_local.postgres import PostgresServer, start_postgres
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

#: Rounds' worth of tasks that lie ready for the projection: several of its largest batches.
BACKLOG = 2
NO_REDIS = "redis-server was not found: install it (apt-get install redis-server, brew install redis)."


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=20_000, help="no-op tasks per round of Muster")
    parser.add_argument(
        "--celery-tasks", type=int, default=1_000, help="no-op tasks per round of Celery (it is slower)"
    )
    parser.add_argument("--celery-concurrency", type=int, default=2, help="processes of the Celery worker")
    parser.add_argument("--slots", type=int, default=512, help="tasks that Muster's worker process runs at once")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--samples", type=int, default=100, help="tasks of each idle latency measurement")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    parser.add_argument(
        "--against", metavar="REVISION", help="compare with an older git revision of Muster instead of with Celery"
    )
    parser.add_argument("--skip-celery", action="store_true")
    parser.add_argument("--skip-muster", action="store_true")
    parser.add_argument(
        "--profile", choices=["worker", "tracker"], help="run it under cProfile (slower) and print where its time went"
    )
    return parser.parse_args()


def _run(options: argparse.Namespace, console: Console) -> tuple[list[Figures], str | None]:
    with ExitStack() as cleanup:
        folder = Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="muster-bench-")))
        # PostgreSQL does not run as root; its own account must be able to enter.
        folder.chmod(0o755)
        console.print("Starting PostgreSQL, Kafka and the services", style="dim")
        postgres = start_postgres(folder / "postgres")
        cleanup.callback(postgres.stop)
        pairs, skipped = _stacks(options, folder, postgres, cleanup)
        with _progress(console) as bar:
            step = bar.add_task("warming up", total=None)

            def progress(what: str, done: int, wanted: int) -> None:
                bar.update(step, description=what, completed=done, total=wanted)

            compare(pairs, postgres.identity, options.rounds, options.samples, progress)
            for stack, figures in pairs:
                if isinstance(stack, MusterStack):
                    progress(f"{stack.name}: projection alone", 0, BACKLOG * options.tasks)
                    figures.projection = stack.project_backlog(BACKLOG * options.tasks)
        first = pairs[0][0]
        if isinstance(first, MusterStack) and options.profile:
            first.stop()
            first.show_profile()
    return [figures for _, figures in pairs], skipped


def _stacks(
    options: argparse.Namespace, folder: Path, postgres: PostgresServer, cleanup: ExitStack
) -> tuple[list[tuple[Stack, Figures]], str | None]:
    """What is compared, started; and why Celery is not part of it."""
    pairs: list[tuple[Stack, Figures]] = []

    def add(stack: Stack, tasks: int) -> None:
        cleanup.callback(stack.stop)
        pairs.append((stack, Figures(stack.name, tasks)))

    if not options.skip_muster:
        older = lay_out(options.against, folder) if options.against else None
        kafka = start_kafka(folder / "kafka", cache())
        cleanup.callback(kafka.stop)
        add(MusterStack(folder, postgres, kafka, options.slots, profile=options.profile), options.tasks)
        if older:
            add(MusterStack(folder, postgres, kafka, options.slots, revision=older), options.tasks)
    redis = redis_program()
    if options.against or options.skip_celery or not redis:
        return pairs, _why_no_celery(options)
    add(CeleryStack(folder, postgres, redis, options.celery_concurrency), options.celery_tasks)
    return pairs, None


def _why_no_celery(options: argparse.Namespace) -> str:
    if options.against:
        return f"--against {options.against} was given."
    return "--skip-celery was given." if options.skip_celery else NO_REDIS


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description:24}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, transient=True)


def main() -> int:
    options = _arguments()
    # Progress goes to stderr, so that `--json` can be piped.
    console = Console(stderr=options.json)
    try:
        figures, skipped = _run(options, console)
    except (BenchError, LocalError) as error:
        console.print(f"[red]The benchmark stopped:[/] {error}")
        return 1
    ratios = Ratios.of(*figures, revision=bool(options.against)) if len(figures) == 2 else None
    if options.json:
        print(json.dumps(as_json(figures, ratios, skipped), indent=2))  # noqa: T201
    else:
        show(console, figures, ratios, skipped)
    # The cost of what was added since is a claim; how much faster than others we are is news.
    return int(bool(options.against) and ratios is not None and not ratios.throughput_met)


if __name__ == "__main__":
    sys.exit(main())
