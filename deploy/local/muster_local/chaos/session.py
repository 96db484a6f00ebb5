"""One run of chaos from the first process to the verdict: submit, strike, wait, count. Each is a module of its own."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from muster_local.chaos.installation import Installation
from muster_local.chaos.monkey import Monkey
from muster_local.chaos.plan import Plan
from muster_local.chaos.submission import Submitted, Submitter
from muster_local.chaos.verdict import Verdict, judge

#: After the last fault, this long without any task ending means that the rest is stuck; at least some leases.
PATIENCE_SECONDS = 60.0
_LEASES = 3
_LOOK_SECONDS = 0.25
_ENDED = "SELECT count(*) FROM muster.tasks WHERE finished_at IS NOT NULL"
#: Told what goes on and how many tasks are through it.
Told = Callable[[str, int], None]


@dataclass(frozen=True)
class Findings:
    """What a run found, and what it did to find it."""

    verdict: Verdict
    ends: dict[tuple[str, str], int]
    broker_away_seconds: float
    unacknowledged: int
    seconds: float


def run_chaos(folder: Path, plan: Plan, told: Told) -> Findings:
    """Start everything in `folder`, break it, and stop it again.

    Raises:
        LocalError: a part could not be started.
    """
    told("starting", 0)
    installation = Installation(folder, plan)
    try:
        return asyncio.run(_session(installation, plan, told))
    finally:
        installation.stop()


async def _session(installation: Installation, plan: Plan, told: Told) -> Findings:
    await installation.prepare()
    began = time.monotonic()
    # Dice of their own: what is submitted does not depend on how often somebody was struck.
    monkey = Monkey(installation, plan, random.Random(plan.seed))  # noqa: S311
    submitter = Submitter(installation, plan, random.Random(plan.seed + 1))  # noqa: S311
    striking = asyncio.create_task(monkey.run())
    submitting = asyncio.create_task(submitter.run(lambda done: told("submitted", done)))
    try:
        # A strike that fails (Kafka does not come back) must not be waited for.
        await asyncio.wait((striking, submitting), return_when=asyncio.FIRST_COMPLETED)
        if striking.done():
            striking.result()
        submitted = await submitting
        monkey.stop()
        await striking
        await _settled(installation, monkey, plan, told)
    finally:
        striking.cancel()
        submitting.cancel()
    return await _findings(installation, plan, monkey, submitted, time.monotonic() - began)


async def _findings(
    installation: Installation, plan: Plan, monkey: Monkey, submitted: Submitted, seconds: float
) -> Findings:
    bound = plan.bound_of_extra_runs(monkey.worker_ends, monkey.moves, monkey.broker_ends)
    verdict = await judge(installation, submitted, extra_runs_bound=bound, gave_up=monkey.gave_up)
    ends = dict(sorted(monkey.ends.items()))
    return Findings(verdict, ends, round(monkey.broker_away, 1), len(submitted.unacknowledged), round(seconds, 1))


async def _settled(installation: Installation, monkey: Monkey, plan: Plan, told: Told) -> None:
    """Return when every task has ended, or none did for too long."""
    patience = max(PATIENCE_SECONDS, _LEASES * plan.lease)
    connection = await installation.connect()
    ended, changed = -1, time.monotonic()
    try:
        while ended < plan.tasks and time.monotonic() - changed < patience:
            now_ended = await connection.fetchval(_ENDED)
            if now_ended != ended:
                ended, changed = now_ended, time.monotonic()
            told("ended", ended)
            monkey.revive()
            await asyncio.sleep(_LOOK_SECONDS)
    finally:
        await connection.close()
