"""`muster topics`: create what the platform needs on a cluster, and look at what lies in it."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Annotated, NamedTuple

import typer
from rich.table import Table

from muster.adapters.kafka import KafkaBroker
from muster.cli.output import JsonOption, out, print_json, run
from muster.connect import read_environment, read_settings
from muster.contracts.errors import BrokerError
from muster.contracts.topics import WORKER_SERVICES, Topics
from muster.ports import Admin, TopicChange, TopicPartition
from muster.settings import Settings

app = typer.Typer(no_args_is_help=True, help="Create and inspect the Kafka topics.")
#: Whose committed offsets say how far the lanes and the retry topics are read.
_READERS = (*WORKER_SERVICES, "scheduler")
_COORDINATOR_TRIES, _COORDINATOR_SECONDS = 20, 0.25


class TopicLag(NamedTuple):
    """One topic as it stands; `lag` is records that a group has still to take, None where nobody commits."""

    topic: str
    partitions: int
    records: int
    end_offset: int
    group: str | None
    lag: int | None


@app.command()
def apply(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    replication_factor: Annotated[
        int | None, typer.Option(help="Copies of new topics; MUSTER_REPLICATION_FACTOR if left out.", min=1)
    ] = None,
    json: JsonOption = False,
) -> None:
    """Create missing topics, add missing partitions, correct settings. Deletes and shrinks nothing.

    Example: KAFKA_BOOTSTRAP_SERVERS=kafka:9092 muster topics apply --replication-factor 3
    """

    async def work() -> list[TopicChange]:
        settings = read_settings()
        copies = replication_factor or read_environment(Settings).replication_factor
        admin = KafkaBroker(settings.kafka).admin()
        await admin.start()
        try:
            specs = Topics(settings.topic_prefix).specs()
            return await admin.apply(specs, replication_factor=copies, dry_run=dry_run)
        finally:
            await admin.stop()

    changes = run(work(), json=json)
    if json:
        print_json([change._asdict() for change in changes])
        return
    done = Counter(change.action for change in changes)
    for change in changes:
        if change.action != "keep":
            out.print(f"{'would ' if dry_run else ''}{change.action} {change.topic}  {change.detail}".rstrip())
    verb = "would be " if dry_run else ""
    out.print(f"{done['create']} {verb}created, {done['alter']} {verb}altered, {done['keep']} kept as they are")


@app.command("list")
def list_topics(json: JsonOption = False) -> None:
    """Show each topic with its partitions, its records and how far its readers are behind.

    A lag of 1 in a partition may be the end mark of a transaction, which nobody reads.

    Example: muster topics list --json
    """

    async def work() -> list[TopicLag]:
        settings = read_settings()
        return await _survey(KafkaBroker(settings.kafka), Topics(settings.topic_prefix))

    found = run(work(), json=json)
    if json:
        print_json([item._asdict() for item in found])
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("TOPIC")
    for name in ("PARTITIONS", "RECORDS", "END", "LAG"):
        table.add_column(name, justify="right")
    table.add_column("GROUP")
    for item in found:
        lag = "" if item.lag is None else f"{item.lag:,}"
        table.add_row(
            item.topic, str(item.partitions), f"{item.records:,}", f"{item.end_offset:,}", lag, item.group or ""
        )
    out.print(table)


async def _survey(broker: KafkaBroker, topics: Topics) -> list[TopicLag]:
    admin = broker.admin()
    await admin.start()
    try:
        counts = await admin.partitions([spec.name for spec in topics.specs()])
        committed = await _committed(admin, topics)
    finally:
        await admin.stop()
    if not counts:
        return []
    partitions = [TopicPartition(name, number) for name, count in counts.items() for number in range(count)]
    consumer = broker.consumer(client_id="muster-cli")
    consumer.assign(partitions)
    await consumer.start()
    try:
        begin, end = await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)
    finally:
        await consumer.stop()
    existing = [spec.name for spec in topics.specs() if spec.name in counts]
    return [_sum_up(name, counts[name], begin, end, committed) for name in existing]


async def _committed(admin: Admin, topics: Topics) -> dict[str, dict[TopicPartition, int]]:
    groups = [topics.group(reader) for reader in _READERS]
    return {group: await _committed_by(admin, group) for group in groups}


async def _committed_by(admin: Admin, group: str) -> dict[TopicPartition, int]:
    """A cluster that never had a group makes room for offsets when it is first asked, and refuses meanwhile."""
    for _ in range(_COORDINATOR_TRIES):
        try:
            return await admin.committed(group)
        except BrokerError as error:
            if "Coordinator" not in str(error):
                raise
            await asyncio.sleep(_COORDINATOR_SECONDS)
    return await admin.committed(group)


def _sum_up(
    topic: str,
    count: int,
    begin: dict[TopicPartition, int],
    end: dict[TopicPartition, int],
    committed: dict[str, dict[TopicPartition, int]],
) -> TopicLag:
    mine = [TopicPartition(topic, number) for number in range(count)]
    records = sum(end[p] - begin[p] for p in mine)
    reader = next((group for group, offsets in committed.items() if any(p in offsets for p in mine)), None)
    # What was never committed is waiting from the first record that is still there.
    lag = None if reader is None else sum(max(0, end[p] - max(committed[reader].get(p, 0), begin[p])) for p in mine)
    return TopicLag(topic, count, records, sum(end[p] for p in mine), reader, lag)
