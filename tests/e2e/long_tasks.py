"""Runs tasks far longer than Kafka lets a consumer poll nothing, and counts what became of them and of all others.

`python tests/e2e/long_tasks.py --minutes 10`. Exits with 1 when a promise broke. The short form is test_long_tasks.py.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from muster.adapters.kafka import KafkaBroker
from muster.client.reading import read_to_end
from muster.client.settings import ClientSettings
from muster.client.sync import SyncClient
from muster.connect import connect_sync
from muster.contracts.envelope import parse_task
from muster.contracts.events import Heartbeat, Started, decode_event, decode_heartbeat
from muster.ports import Record
from muster.settings import KafkaSettings
from muster_local.home import cache
from muster_local.kafka import start_kafka
from muster_local.postgres import start_postgres

if TYPE_CHECKING:
    from tests.e2e.api import Api
    from tests.e2e.system import System

#: One worker that is full, alone in its service, so that it cannot poll: a long task, and others that wait behind it.
ALONE, BEHIND = "import", 5
#: Two workers with long tasks on all slots but one, in which the others of their service run.
SHARED, WORKERS, SLOTS, LONG_TASKS = "notify", 2, 2, 3
SHORT_SECONDS, SHORT_EVERY = 0.05, 0.25
#: Before the long tasks end, so that the last short ones have the time to end before them.
REST_SECONDS = 5.0
PARTITIONS = 18
#: Seconds. A worker silent for longer would be near its fence; a task that waited longer was held up.
LONGEST_SILENCE, LONGEST_WAIT = 3.0, 3.0


@dataclass(frozen=True)
class Result:
    """What was counted; times in seconds."""

    minutes: float
    #: How long Kafka let the workers poll nothing.
    max_poll_seconds: float
    long_tasks: int
    #: The long tasks, and those that waited behind the one whose worker is alone.
    succeeded: int
    #: STARTED events of these, and records of them that anybody wrote to be run again.
    runs: int
    again: int
    beats: int
    longest_silence: float
    #: Times that partitions moved while the long tasks ran.
    moves: int
    short_tasks: int
    #: How many of them had succeeded before the first long task ended.
    short_meanwhile: int
    short_wait_p50: float
    short_wait_p99: float

    def broken(self) -> list[str]:
        """The promises that were not kept."""
        kept = {
            "every long task succeeds, and what waits behind it": self.succeeded == self.long_tasks + BEHIND,
            "each runs once": (self.runs, self.again) == (self.long_tasks + BEHIND, 0),
            f"no worker is silent for {LONGEST_SILENCE:g} s": self.longest_silence < LONGEST_SILENCE,
            "no partition moves": self.moves == 0,
            "every other task succeeds meanwhile": self.short_meanwhile == self.short_tasks,
            f"99 of 100 others wait less than {LONGEST_WAIT:g} s": self.short_wait_p99 < LONGEST_WAIT,
        }
        return [promise for promise, is_kept in kept.items() if not is_kept]


@dataclass(frozen=True)
class _Ran:
    """The tasks of one telling: the long ones with those behind one of them, and each short one with its submission."""

    tasks: set[str]
    short: dict[str, float]
    #: While all long tasks ran.
    began: float
    ended: float
    short_meanwhile: int


def tell(system: System, api: Api, *, minutes: float, max_poll: float) -> Result:
    """Long tasks in both services, and a short one every quarter of a second until they end."""
    told = {"PRACTICE_POLL_SECONDS": str(max_poll), "MUSTER_SLOTS": str(SLOTS)}
    workers = [system.practice(**told).start() for _ in range(WORKERS)]
    workers.append(system.practice(**told | {"PRACTICE_SERVICE": ALONE, "MUSTER_SLOTS": "1"}).start())
    with closing(_client(system)) as client:
        ran = _run(system, api, client, minutes * 60)
    short = ran.short
    beats = _beats_between(system, ran.began, ran.ended)
    assert [worker.drain() for worker in workers] == [0] * len(workers)
    waits = sorted(note.at - short[note.task_id] for note in system.ledger.runs() if note.task_id in short)
    return Result(
        minutes=minutes,
        max_poll_seconds=max_poll,
        long_tasks=len(ran.tasks) - BEHIND,
        succeeded=sum(api.state(task) == "SUCCESS" for task in ran.tasks),
        runs=_runs(system, ran.tasks),
        again=_written_again(system, ran.tasks),
        beats=sum(map(len, beats.values())),
        longest_silence=round(max(_silences(beats, ran.began, ran.ended)), 2),
        moves=_moves(beats),
        short_tasks=len(short),
        short_meanwhile=ran.short_meanwhile,
        short_wait_p50=round(waits[len(waits) // 2], 3),
        short_wait_p99=round(waits[int(len(waits) * 0.99)], 3),
    )


def _run(system: System, api: Api, client: SyncClient, seconds: float) -> _Ran:
    from tests.e2e.api import wait_until

    def submit(service: str, seconds: float) -> str:
        return client.submit("nap", {"seconds": seconds}, service=service).id

    tasks = {submit(SHARED, seconds) for _ in range(LONG_TASKS)} | {submit(ALONE, seconds)}
    wait_until(lambda: len(system.ledger.runs()) >= len(tasks), "all long tasks run")
    began = time.time()
    tasks |= {submit(ALONE, SHORT_SECONDS) for _ in range(BEHIND)}
    short: dict[str, float] = {}
    while time.time() < began + seconds - REST_SECONDS:
        submitted = time.time()
        short[submit(SHARED, SHORT_SECONDS)] = submitted
        time.sleep(SHORT_EVERY)
    # The long tasks still run: nobody has had another slot for the short ones.
    ended = time.time()
    wait_until(lambda: api.counts("nap")["SUCCESS"] >= len(short), "the short tasks succeed")
    meanwhile = api.counts("nap")["SUCCESS"]
    with suppress(AssertionError):  # what is missing is counted
        wait_until(lambda: api.counts("nap")["SUCCESS"] == len(tasks) + len(short), "all have succeeded", 60)
    return _Ran(tasks, short, began, ended, meanwhile)


def _client(system: System) -> SyncClient:
    return connect_sync(
        ClientSettings(kafka=KafkaSettings(bootstrap_servers=system.kafka), topic_prefix=system.topics.prefix)
    )


def _runs(system: System, tasks: set[str]) -> int:
    events = [decode_event(record.value or b"") for record in _read(system, system.topics.events)]
    return sum(isinstance(event, Started) and event.task_id in tasks for event in events)


def _read(system: System, topic: str) -> list[Record]:
    async def read() -> list[Record]:
        broker = KafkaBroker(KafkaSettings(bootstrap_servers=system.kafka))
        return [record async for record in read_to_end(broker, topic)]

    return asyncio.run(read())


Beats = dict[str, list[tuple[float, Heartbeat]]]


def _beats_between(system: System, began: float, ended: float) -> Beats:
    """The beats of each worker while the long tasks ran, with the time (seconds) at which each was written."""
    beats: Beats = defaultdict(list)
    for record in _read(system, system.topics.workers):
        beat, at = decode_heartbeat(record.value or b""), record.timestamp_ms / 1000
        if beat.service in (ALONE, SHARED) and began <= at <= ended:
            beats[beat.worker].append((at, beat))
    return beats


def _silences(beats: Beats, began: float, ended: float) -> Iterator[float]:
    for said in beats.values():
        for before, after in pairwise([began, *(at for at, _ in said), ended]):
            yield after - before


def _moves(beats: Beats) -> int:
    """Every worker tells of the same partitions in each of its beats, and together they own all of both services."""
    owned = [[beat.partitions for _, beat in said] for said in beats.values()]
    moved = sum(before != after for told in owned for before, after in pairwise(told))
    whole = sum(len(told[-1]) for told in owned) == 2 * PARTITIONS and len(owned) == WORKERS + 1
    return moved + (not whole)


def _written_again(system: System, tasks: set[str]) -> int:
    """Records of these tasks beyond the one that each was submitted as."""
    topics = system.topics
    lanes = [record for service in (ALONE, SHARED) for name in topics.lanes(service) for record in _read(system, name)]
    written = lanes + _read(system, topics.retry) + _read(system, topics.dead_letter)
    found = [parse_task(record.headers, record.value).task_id for record in written]
    return sum(task_id in tasks for task_id in found) - len(tasks)


@contextmanager
def _installation() -> Iterator[System]:
    from tests.e2e.system import start_system

    folder = Path(tempfile.mkdtemp(prefix="muster-long-"))
    # PostgreSQL does not run as root; its own account must be able to enter.
    folder.chmod(0o755)
    postgres = start_postgres(folder / "postgres")
    try:
        kafka = start_kafka(folder / "kafka", cache())
        try:
            system = start_system(folder, kafka.bootstrap, "long.", postgres.create_database("long"))
            try:
                yield system
            finally:
                system.stop()
        finally:
            kafka.stop()
    finally:
        postgres.stop()
        shutil.rmtree(folder, ignore_errors=True)


def main() -> int:
    """0 when every promise was kept, else 1."""
    from tests.e2e.api import Api

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long the long tasks run (0.2 to 45)")
    parser.add_argument("--max-poll", type=float, default=5.0, help="max.poll.interval.ms of the workers, in seconds")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    if not 0.2 <= options.minutes <= 45:
        parser.error("--minutes must lie between 0.2 and 45: the token of the API ends after an hour")
    with _installation() as system:
        api = Api(system)
        try:
            result = tell(system, api, minutes=options.minutes, max_poll=options.max_poll)
        finally:
            api.close()
    broken = result.broken()
    if options.json:
        print(json.dumps(asdict(result) | {"broken": broken}))  # noqa: T201
    else:
        for name, value in asdict(result).items():
            print(f"{name.replace('_', ' '):20} {value}")  # noqa: T201
        print("\n".join(f"BROKEN: {promise}" for promise in broken) or "every promise was kept")  # noqa: T201
    return int(bool(broken))


if __name__ == "__main__":
    # The stories are a package of the tests, which nobody installs.
    sys.path.insert(0, str(Path(__file__).parents[2]))
    sys.exit(main())
