"""Measures what the adapters add to the clients beneath them: Kafka beside bare aiokafka, child processes, effects.

Starts a Kafka of its own. Whole tasks are bench.py.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import operator
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka import TopicPartition as KafkaPartition
from muster.adapters.kafka import KafkaBroker
from muster.adapters.kafka_producer import COMMON_OPTIONS
from muster.adapters.processes import ProcessCompute
from muster.contracts.topics import TopicSpec
from muster.ports import TopicPartition
from muster.settings import KafkaSettings
from muster_local.home import cache
from muster_local.kafka import KafkaOptions, start_kafka

TOPIC, PARTITIONS = "bench", 6
VALUE = b"x" * 300
HEADERS = [("ce_id", b"0123456789abcdef"), ("ce_type", b"no_op"), ("ce_specversion", b"1.0")]
Measure = Callable[[str, int], Awaitable[float]]


def _keys(count: int) -> list[bytes]:
    return [b"task-%032d" % n for n in range(count)]


async def bare_send(bootstrap: str, count: int) -> float:
    options = {name: value for name, value in COMMON_OPTIONS.items() if name != "partitioner"}
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, linger_ms=2, **options)
    await producer.start()
    keys = _keys(count)
    began = time.process_time()
    await asyncio.gather(*[await producer.send(TOPIC, VALUE, key=key, headers=HEADERS) for key in keys])
    seconds = time.process_time() - began
    await producer.stop()
    return seconds / count * 1e6


async def our_send(bootstrap: str, count: int) -> float:
    producer = KafkaBroker(KafkaSettings(bootstrap_servers=bootstrap)).producer()
    await producer.start()
    keys = _keys(count)
    began = time.process_time()
    await asyncio.gather(*[await producer.send(TOPIC, VALUE, key=key, headers=HEADERS) for key in keys])
    seconds = time.process_time() - began
    await producer.stop()
    return seconds / count * 1e6


async def bare_poll(bootstrap: str, count: int) -> float:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        enable_auto_commit=False,
    )
    consumer.assign([KafkaPartition(TOPIC, number) for number in range(PARTITIONS)])
    await consumer.start()
    began, got = time.process_time(), 0
    while got < count:
        batches = await consumer.getmany(timeout_ms=200, max_records=500)
        got += sum(len(messages) for messages in batches.values())
    seconds = time.process_time() - began
    await consumer.stop()
    return seconds / got * 1e6


async def our_poll(bootstrap: str, count: int) -> float:
    consumer = KafkaBroker(KafkaSettings(bootstrap_servers=bootstrap)).consumer()
    consumer.assign([TopicPartition(TOPIC, number) for number in range(PARTITIONS)])
    await consumer.start()
    began, got = time.process_time(), 0
    while got < count:
        got += len(await consumer.poll(timeout=0.2, max_records=500))
    seconds = time.process_time() - began
    await consumer.stop()
    return seconds / got * 1e6


async def child_start(_: str, count: int) -> float:
    """Wall time of starting a child, running a first function and letting it end."""
    compute = ProcessCompute(1, max_tasks=1)
    began = time.perf_counter()
    for _turn in range(max(3, count // 10_000)):
        await compute.run(operator.add, 1, 2)
    seconds = time.perf_counter() - began
    await compute.close()
    return seconds / max(3, count // 10_000) * 1e6


async def child_call(_: str, count: int) -> float:
    """Wall time of a call to a child that runs already."""
    calls = max(100, count // 50)
    compute = ProcessCompute(1)
    await compute.run(operator.add, 1, 2)
    began = time.perf_counter()
    for _turn in range(calls):
        await compute.run(operator.add, 1, 2)
    seconds = time.perf_counter() - began
    await compute.close()
    return seconds / calls * 1e6


MEASURES: dict[str, Measure] = {
    "send, bare aiokafka": bare_send,
    "send, ours": our_send,
    "poll, bare aiokafka": bare_poll,
    "poll, ours": our_poll,
    "child process, start": child_start,
    "child process, call": child_call,
}


async def measure(bootstrap: str, count: int, rounds: int) -> dict[str, float]:
    """Medians in microseconds; the rounds of all measures are interleaved, so that a slow moment hits them alike.

    Sending and polling count the CPU time of this process alone: wall time would measure the broker.
    """
    admin = KafkaBroker(KafkaSettings(bootstrap_servers=bootstrap)).admin()
    await admin.start()
    await admin.apply([TopicSpec(TOPIC, PARTITIONS)])
    await admin.stop()
    found: dict[str, list[float]] = {name: [] for name in MEASURES}
    for _ in range(rounds):
        for name, run in MEASURES.items():
            found[name].append(await run(bootstrap, count))
    medians = {name: statistics.median(values) for name, values in found.items()}
    for what in ("send", "poll"):
        medians[f"{what}, ours : bare"] = medians[f"{what}, ours"] / medians[f"{what}, bare aiokafka"]
    return medians


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=30_000, help="records of 300 bytes with three headers per round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of lines")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="muster-bench-") as folder:
        server = start_kafka(Path(folder), cache(), KafkaOptions())
        try:
            results: dict[str, Any] = uvloop.run(measure(server.bootstrap, arguments.records, arguments.rounds))
        finally:
            server.stop()
    if arguments.json:
        sys.stdout.write(json.dumps(results) + "\n")
        return
    for name, value in results.items():
        sys.stdout.write(f"{name:24} {value:12,.2f}{'' if ':' in name else ' us'}\n")


if __name__ == "__main__":
    main()
