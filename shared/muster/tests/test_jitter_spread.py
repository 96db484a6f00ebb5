"""A thousand failures at once do not come back at once: their due times lie evenly in the interval of the policy."""

from __future__ import annotations

import random
from collections.abc import Sequence

from muster.contracts.envelope import parse_task
from muster.contracts.retry import RetryPolicy
from muster.ports import Record
from muster.testing import memory_stage, wait_until
from muster.worker import Context, TaskApp

FAILURES = 1000
#: Kolmogorov-Smirnov: one uniform sample of 1,000 in a hundred lies further off than 1.63 / sqrt(1,000).
CRITICAL = 1.63 / FAILURES**0.5
#: The default policy: the first retry comes after 60 s, of which half is jitter.
LOW, HIGH = 30.0, 60.0


def distance_from_uniform(sample: Sequence[float]) -> float:
    """The Kolmogorov-Smirnov statistic of values in [0, 1]: how far their distribution lies from the diagonal."""
    ordered, count = sorted(sample), len(sample)
    return max(max((rank + 1) / count - value, value - rank / count) for rank, value in enumerate(ordered))


def wait_of(record: Record) -> float:
    """Seconds between a failure and its next attempt."""
    task = parse_task(record.headers, record.value)
    assert task.not_before is not None
    assert task.failure is not None
    assert task.failure.failed_at is not None
    return (task.not_before - task.failure.failed_at).total_seconds()


async def waits_after_failures(policy: RetryPolicy) -> list[float]:
    app: TaskApp[None] = TaskApp("media")

    @app.task(retry=policy)
    async def fail(ctx: Context[None]) -> None:
        raise ConnectionError("the database is away")

    async with memory_stage() as stage:
        async with stage.worker(app, slots=100) as worker:
            await wait_until(lambda: worker._execution is not None, "it is up")
            # The worker's own dice, thrown the same way in every run of this test.
            worker._execution._rng = random.Random(4)  # type: ignore[union-attr]
            for number in range(FAILURES):
                await stage.submit("fail", task_id=f"task-{number}")
            await wait_until(lambda: len(stage.records(stage.topics.retry)) == FAILURES, "all have failed", 60)
        return [wait_of(record) for record in stage.records(stage.topics.retry)]


async def test_a_thousand_failures_at_once_are_spread_evenly() -> None:
    waits = await waits_after_failures(RetryPolicy())

    assert LOW - 1 < min(waits) <= max(waits) <= HIGH
    assert distance_from_uniform([(wait - LOW) / (HIGH - LOW) for wait in waits]) < CRITICAL


async def test_without_jitter_they_would_all_come_back_together() -> None:
    waits = await waits_after_failures(RetryPolicy(jitter=False))

    assert distance_from_uniform([(wait - LOW) / (HIGH - LOW) for wait in waits]) > 0.5


def test_the_statistic_tells_an_even_sample_from_an_uneven_one() -> None:
    even = [(number + 0.5) / FAILURES for number in range(FAILURES)]

    assert distance_from_uniform(even) < 0.001
    assert distance_from_uniform([value**1.2 for value in even]) > CRITICAL
