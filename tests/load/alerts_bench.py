"""Whether alerts can neither spam nor go silent: floods, kills in the middle, a mail server that is away.

`python tests/load/alerts_bench.py` starts a Kafka, a PostgreSQL, a mail server, a webhook and the alerts' own process,
which is killed by SIGKILL again and again. Exit code 1 when a promise broke: 10,000 equal dead letters are one alert
and digests whose counts add up, three different ones are three; what could not be mailed is mailed later; nothing is
lost, and nothing is sent twice unless a kill fell between the other side's word and the record of it, which is counted;
a pipeline without a tracker is told, and its return.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from alerting.installation import Impatient, Installation
from alerting.sinks import Sinks
from alerting.stories import (
    Told,
    equal_letters,
    lead_changes,
    mail_is_away,
    many_kinds,
    nothing_lost_or_doubled,
    pipeline_stops,
    three_causes,
)
from muster_local.home import cache
from muster_local.kafka import start_kafka
from muster_local.postgres import PostgresOptions, start_postgres
from rich.console import Console

#: Long enough for a machine that is busy with the flood.
SILENT_FOR = "15s"


async def measure(inside: Installation, sinks: Sinks, letters: int, kills: int, seed: int) -> list[Told]:
    """Every story, one after the other, on one installation that is prepared."""
    inside.start()
    chance = random.Random(seed)
    stopped, beating = await pipeline_stops(inside, sinks)
    told = [
        stopped,
        await equal_letters(inside, sinks, letters, kills, chance),
        await three_causes(inside, sinks),
        await mail_is_away(inside, sinks),
        await lead_changes(inside, sinks, max(3, letters // 10), freeze=False),
        await lead_changes(inside, sinks, max(3, letters // 10), freeze=True),
        await many_kinds(inside, sinks, max(100, letters // 10)),
        await nothing_lost_or_doubled(inside, sinks),
    ]
    beating.cancel()
    return told


@contextmanager
def servers() -> Iterator[tuple[Path, str, str]]:
    """A folder, the bootstrap servers of a Kafka, the DSN of an empty database."""
    with tempfile.TemporaryDirectory(prefix="muster-alerts-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # neither server runs as root
        postgres = start_postgres(folder / "postgres", PostgresOptions(durable=False))
        try:
            kafka = start_kafka(folder / "kafka", cache())
            try:
                yield folder, kafka.bootstrap, postgres.create_database("alerts")
            finally:
                kafka.stop()
        finally:
            postgres.stop()


async def _run(options: argparse.Namespace) -> list[Told]:
    with servers() as (folder, bootstrap, dsn):
        async with Sinks() as sinks:
            inside = Installation(folder, bootstrap, dsn, "", sinks, silent_for=SILENT_FOR)
            await inside.prepare()
            try:
                return await measure(inside, sinks, options.letters, options.kills, options.seed)
            finally:
                await inside.stop()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--letters", type=int, default=10_000, help="equal dead letters")
    parser.add_argument("--kills", type=int, default=5, help="SIGKILLs while they are read")
    parser.add_argument("--seed", type=int, default=5, help="decides when the kills fall")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser.parse_args()


def main() -> int:
    options = _arguments()
    console = Console(stderr=options.json, soft_wrap=True)
    try:
        told = asyncio.run(_run(options))
    except Impatient as error:
        console.print(f"[red]{error}[/]")
        return 1
    misses = [miss for story in told for miss in story.misses]
    for story in told:
        console.print(str(story), highlight=False)
    for miss in misses:
        console.print(f"[red]{miss}[/]")
    if options.json:
        print(json.dumps({"stories": [asdict(story) for story in told], "misses": misses}, indent=2))  # noqa: T201
    return 1 if misses else 0


if __name__ == "__main__":
    sys.exit(main())
