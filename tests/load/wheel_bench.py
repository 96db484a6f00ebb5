"""Counts what the timing wheel promises, with real schedulers on a Kafka of its own; exits with 1 when a promise broke.

Never early; late by at most 250 ms at the 99th percentile with 1,000 records due a second, also behind 10,000 records
of an hour; nothing lost or doubled when schedulers are killed, nothing lost when Kafka is; a scheduler killed inside a
transaction holds readers of the lane up for at most 8 s.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import tempfile
from pathlib import Path

import uvloop
from delays.runs import RUNS, Answer, Load, Place
from muster_local.home import cache
from muster_local.kafka import KafkaOptions, start_kafka
from rich.console import Console


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=1_000, help="records that fall due every second")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long they do, per question")
    parser.add_argument("--only", choices=list(RUNS), action="append", help="ask this question alone; may be repeated")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser.parse_args()


async def _ask(place: Place, options: argparse.Namespace, console: Console) -> dict[str, Answer]:
    answers = {}
    for name in options.only or RUNS:
        console.print(f"{name}: {(RUNS[name].__doc__ or '').splitlines()[0]}", style="dim")
        answers[name] = answer = await RUNS[name](place, Load(options.rate, options.seconds, options.seed))
        for figure, value in answer.figures.items():
            console.print(f"{figure.replace('_', ' '):>24}  {value}")
        for sentence in answer.broken:
            console.print(f"[red]broken:[/] {sentence}")
    return answers


def main() -> int:
    options = _arguments()
    # What aiokafka has to say of a broker that is being killed is no figure.
    logging.disable(logging.CRITICAL)
    console = Console(stderr=options.json, highlight=False)
    with tempfile.TemporaryDirectory(prefix="muster-wheel-") as temporary:
        folder = Path(temporary)
        place = Place(start_kafka(folder / "kafka", cache(), KafkaOptions()), folder)
        try:
            answers = uvloop.run(_ask(place, options, console))
        finally:
            place.kafka.stop()
    if options.json:
        found = {name: answer.figures | {"broken": answer.broken} for name, answer in answers.items()}
        sys.stdout.write(json.dumps(found, indent=2) + "\n")
    broken = any(answer.broken for answer in answers.values())
    console.print("[red]a promise was broken[/]" if broken else "[green]every promise was kept[/]")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
