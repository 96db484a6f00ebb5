"""Counts what became of every task, from the database, the runs' logs and Kafka itself. Nothing is run here."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from muster.contracts.envelope import parse_task
from muster.ports import Record, TopicPartition

from .installation import Installation
from .submission import Submitted

#: What a task type ends in, unless several workers died while running it.
_ENDS = {"quick": "SUCCESS", "nap": "SUCCESS", "stumble": "SUCCESS", "refuse": "FAILURE"}
_STATES = "SELECT task_id, state, detail::json -> 'failure' ->> 'kind' AS kind FROM muster.tasks"
_EFFECTS = "SELECT task_id, count(*) AS count FROM chaos_effects GROUP BY task_id"
NAMED = 10


@dataclass
class Verdict:
    """The figures; those of `violations` must be 0."""

    tasks: int = 0
    lost: int = 0
    stuck: int = 0
    never_terminal: int = 0
    wrong_end: int = 0
    duplicate_effects: int = 0
    missing_effects: int = 0
    doubled_attempts: int = 0
    early: int = 0
    given_up: int = 0
    runs: int = 0
    extra_runs: int = 0
    #: Ids behind a figure that is not 0, the first few.
    named: dict[str, list[str]] = field(default_factory=dict)

    def violations(self) -> dict[str, int]:
        names = (
            "lost", "stuck", "never_terminal", "wrong_end", "duplicate_effects", "missing_effects", "doubled_attempts",
            "early",
        )  # fmt: skip
        return {name: getattr(self, name) for name in names if getattr(self, name)}

    def count(self, name: str, task_ids: list[str]) -> None:
        setattr(self, name, len(task_ids))
        if task_ids:
            self.named[name] = sorted(task_ids)[:NAMED]


@dataclass(frozen=True)
class Run:
    """One line of a worker's log."""

    task_id: str
    attempt: int
    delivery: int
    at: float


async def judge(installation: Installation, submitted: Submitted) -> Verdict:
    connection = await installation.connect()
    try:
        states = {row["task_id"]: (row["state"], row["kind"]) for row in await connection.fetch(_STATES)}
        effects = {row["task_id"]: row["count"] for row in await connection.fetch(_EFFECTS)}
    finally:
        await connection.close()
    verdict = Verdict(tasks=len(submitted.tasks))
    count_ends(verdict, submitted, states)
    verdict.count("duplicate_effects", [task_id for task_id, count in effects.items() if count > 1])
    successes = [task_id for task_id, (state, _) in states.items() if state == "SUCCESS"]
    verdict.count("missing_effects", [task_id for task_id in successes if task_id not in effects])
    runs = read_runs(installation.runs)
    verdict.runs = len(runs)
    verdict.extra_runs = len(runs) - len({(run.task_id, run.attempt) for run in runs})
    count_retries(verdict, runs, await _read(installation, installation.topics.retry))
    return verdict


def read_runs(folder: Path) -> list[Run]:
    lines = [line.split() for log in folder.glob("*.log") for line in log.read_text().splitlines()]
    return [Run(task_id, int(attempt), int(delivery), float(at)) for task_id, attempt, delivery, at in lines]


def count_ends(verdict: Verdict, submitted: Submitted, states: dict[str, tuple[str, str | None]]) -> None:
    found: dict[str, list[str]] = defaultdict(list)
    for task_id, kind in submitted.tasks.items():
        state, failure = states.get(task_id, (None, None))
        if state is None:
            if task_id not in submitted.unacknowledged:
                found["lost"].append(task_id)
        elif state == "STARTED":
            found["stuck"].append(task_id)
        elif state not in ("SUCCESS", "FAILURE"):
            found["never_terminal"].append(task_id)
        elif failure == "worker_lost":
            found["given_up"].append(task_id)
        elif state != _ENDS[kind]:
            found["wrong_end"].append(task_id)
    for name, task_ids in found.items():
        verdict.count(name, task_ids)


def count_retries(verdict: Verdict, runs: list[Run], records: list[Record]) -> None:
    """Each next attempt was begun by one record, and not run before its due time."""
    due: dict[tuple[str, int], float] = {}
    begun: Counter[tuple[str, int]] = Counter()
    for record in records:
        task = parse_task(record.headers, record.value)
        if task.delivery > 1 or task.not_before is None:
            continue  # a hand-back
        key = task.task_id, task.attempt
        begun[key] += task.failure is not None and task.attempt > 1
        due[key] = min(due.get(key, float("inf")), task.not_before.timestamp())
    verdict.count("doubled_attempts", [task_id for (task_id, _), count in begun.items() if count > 1])
    early = [run.task_id for run in runs if run.at < due.get((run.task_id, run.attempt), 0.0)]
    verdict.count("early", early)


async def _read(installation: Installation, topic: str) -> list[Record]:
    """Everything that lies in a topic."""
    consumer = installation.broker().consumer()
    partitions = [TopicPartition(topic, number) for number in range(6)]
    consumer.assign(partitions)
    await consumer.start()
    try:
        ends = await consumer.end_offsets(partitions)
        records: list[Record] = []
        while any([await consumer.position(partition) < end for partition, end in ends.items()]):
            records += await consumer.poll(timeout=0.5)
        return records
    finally:
        await consumer.stop()
