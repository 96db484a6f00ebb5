"""Counts what became of every task, from the database, the runs' logs and Kafka itself. Nothing is run here."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from muster.client.reading import read_to_end
from muster.contracts.envelope import parse_task
from muster.ports import Record

from muster_local.chaos.installation import Installation
from muster_local.chaos.kinds import KINDS
from muster_local.chaos.submission import Submitted

#: A worker knows of a revocation this long after Kafka has it (seconds).
REACH_SECONDS = 2.0
NAMED = 10
_READ_SECONDS = 120.0
_STATES = "SELECT task_id, state, detail::json -> 'failure' ->> 'kind' AS kind FROM muster.tasks"
_EFFECTS = "SELECT task_id, count(*) AS count FROM chaos_effects GROUP BY task_id"
_VIOLATIONS = (
    "lost", "stuck", "never_terminal", "wrong_end", "duplicate_effects", "missing_effects", "doubled_attempts",
    "early", "revoked_but_run", "out_of_order", "gave_up",
)  # fmt: skip


@dataclass
class Verdict:
    """The figures; those of `violations` must be 0, the extra runs within their bound."""

    tasks: int = 0
    lost: int = 0
    stuck: int = 0
    never_terminal: int = 0
    wrong_end: int = 0
    duplicate_effects: int = 0
    missing_effects: int = 0
    doubled_attempts: int = 0
    early: int = 0
    revoked_but_run: int = 0
    #: Tasks of an order key that began before one that was enqueued earlier.
    out_of_order: int = 0
    #: Programs that ended by themselves, not tasks.
    gave_up: int = 0
    extra_runs: int = 0
    extra_runs_bound: int = 0
    runs: int = 0
    #: REVOKED, as asked.
    revoked: int = 0
    #: FAILURE `worker_lost`: several workers died under them.
    given_up: int = 0
    #: Ids behind a figure that is not 0, the first few.
    named: dict[str, list[str]] = field(default_factory=dict)

    def violations(self) -> dict[str, int]:
        found = {name: getattr(self, name) for name in _VIOLATIONS if getattr(self, name)}
        if self.extra_runs > self.extra_runs_bound:
            found["extra_runs"] = self.extra_runs
        return found

    def count(self, name: str, task_ids: Iterable[str]) -> None:
        found = list(task_ids)
        setattr(self, name, len(found))
        if found:
            self.named[name] = sorted(found)[:NAMED]


@dataclass(frozen=True)
class Run:
    """One line of a worker's log."""

    task_id: str
    attempt: int
    delivery: int
    at: float


States = dict[str, tuple[str, str | None]]


async def judge(installation: Installation, submitted: Submitted, *, extra_runs_bound: int, gave_up: int) -> Verdict:
    """All figures of one run that has settled."""
    connection = await installation.connect()
    try:
        states: States = {row["task_id"]: (row["state"], row["kind"]) for row in await connection.fetch(_STATES)}
        effects = {row["task_id"]: row["count"] for row in await connection.fetch(_EFFECTS)}
    finally:
        await connection.close()
    verdict = Verdict(tasks=len(submitted.tasks), extra_runs_bound=extra_runs_bound, gave_up=gave_up)
    count_ends(verdict, submitted, states)
    count_effects(verdict, submitted, states, effects)
    runs = read_runs(installation.runs)
    count_runs(verdict, submitted, runs)
    count_order(verdict, submitted, runs)
    retry = installation.topics.retry
    retries = [record async for record in read_to_end(installation.broker(), retry, timeout=_READ_SECONDS)]
    count_retries(verdict, runs, retries)
    return verdict


def read_runs(folder: Path) -> list[Run]:
    lines = [line.split() for log in folder.glob("*.log") for line in log.read_text().splitlines()]
    return [Run(task_id, int(attempt), int(delivery), float(at)) for task_id, attempt, delivery, at in lines]


def count_ends(verdict: Verdict, submitted: Submitted, states: States) -> None:
    found: dict[str, list[str]] = defaultdict(list)
    for task_id, kind in submitted.tasks.items():
        end = states.get(task_id)
        figure = _figure(task_id, kind, end, submitted)
        if figure:
            found[figure].append(task_id)
    verdict.revoked = len(found.pop("revoked", ()))
    for name, task_ids in found.items():
        verdict.count(name, task_ids)


def _figure(task_id: str, kind: str, end: tuple[str, str | None] | None, submitted: Submitted) -> str | None:
    """Which figure a task counts in; None when it ended as its kind must."""
    if end is None:
        return None if task_id in submitted.unacknowledged else "lost"
    state, failure = end
    if state not in ("SUCCESS", "FAILURE", "REVOKED"):
        return "stuck" if state == "STARTED" else "never_terminal"
    if failure == "worker_lost":
        return "given_up"
    if state == "REVOKED":
        return "revoked" if task_id in submitted.revoked else "wrong_end"
    return None if end == KINDS[kind].end else "wrong_end"


def count_effects(verdict: Verdict, submitted: Submitted, states: States, effects: dict[str, int]) -> None:
    verdict.count("duplicate_effects", [task_id for task_id, count in effects.items() if count > 1])
    leaving = {task_id for task_id, kind in submitted.tasks.items() if KINDS[kind].effect}
    successes = {task_id for task_id, (state, _) in states.items() if state == "SUCCESS"}
    verdict.count("missing_effects", (leaving & successes) - effects.keys())


def count_runs(verdict: Verdict, submitted: Submitted, runs: list[Run]) -> None:
    verdict.runs = len(runs)
    verdict.extra_runs = len(runs) - len({(run.task_id, run.attempt) for run in runs})
    known = {task_id: at + REACH_SECONDS for task_id, at in submitted.revoked.items()}
    verdict.count("revoked_but_run", {run.task_id for run in runs if run.at > known.get(run.task_id, float("inf"))})


def count_order(verdict: Verdict, submitted: Submitted, runs: list[Run]) -> None:
    first: dict[str, float] = {}
    for run in runs:
        first[run.task_id] = min(run.at, first.get(run.task_id, run.at))
    early = []
    for queue in submitted.queues.values():
        latest = 0.0
        for task_id in (task_id for task_id in queue if task_id in first):
            if first[task_id] < latest:
                early.append(task_id)
            latest = max(latest, first[task_id])
    verdict.count("out_of_order", early)


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
