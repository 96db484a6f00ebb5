"""Imports in a process of their own, as a worker would run them but without Kafka: for benchmarks, and to be killed.

Started with a JSON list as argument (of Order). Prints a JSON line `{"step": "ready"}`, then for each order one for
each progress and `{"seconds", "peak_mb", "outcome", "result"}`. What is imported lies in a store of payloads, as large
files do.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import uvloop
from import_service.resources import STATEMENT_SECONDS, ImportResources
from import_service.tasks import app
from muster.adapters.claim_store import ClaimStore
from muster.adapters.clock import SystemClock
from muster.adapters.postgres import EffectStore, create_pool
from muster.claim_check import ClaimCheck
from muster.contracts.claim_check import refer
from muster.settings import ClaimCheckSettings
from muster.testing import TaskHarness
from muster.worker.delivery import Delivery
from muster.worker.outcome import Succeed

APPLICATION = "muster-import-child"


@dataclass(frozen=True)
class Order:
    """What the child imports."""

    dsn: str
    #: Folder of the store.
    payloads: str
    task_id: str
    #: `{"ref", "size", "type"}` of a JSON text in the store.
    file: dict[str, Any]
    merge_strategy: str = "skip"
    user_id: int = 1


def command(*orders: Order) -> list[str]:
    """What starts a child that carries these orders out, one after the other, all in the same database."""
    return [sys.executable, __file__, json.dumps([asdict(order) for order in orders])]


def _store(folder: str) -> tuple[ClaimStore, ClaimCheckSettings]:
    settings = ClaimCheckSettings(url=Path(folder).as_uri())
    return ClaimStore(settings), settings


async def put(folder: str, task_id: str, text: bytes) -> dict[str, Any]:
    """Lays a text into the store; returns what stands for it in a parameter."""
    reference = refer(task_id, text, now=datetime.now(UTC), due=None)
    await _store(folder)[0].put(reference.key, text)
    return {"ref": reference.ref, "size": reference.size, "type": reference.type}


class NotUsed:
    """No storage and no web: these imports need none."""

    async def upload(self, data: bytes, public_id: str, resource_type: str) -> str:
        return f"https://storage.invalid/{public_id}"

    async def destroy(self, public_id: str) -> bool:
        return False

    async def fetch(self, url: str, *, max_bytes: int) -> bytes:
        raise AssertionError("nothing is fetched")


class Told(TaskHarness[ImportResources]):
    """Prints the progress of the import instead of keeping it."""

    async def _report(self, delivery: Delivery, done: float, total: float | None, message: str) -> None:
        _say({"step": message, "done": done, "total": total})


def _say(line: dict[str, Any]) -> None:
    print(json.dumps(line), flush=True)  # noqa: T201


def peak_mb() -> float:
    """The most memory this process ever had (VmHWM)."""
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024


async def main(orders: list[Order]) -> int:
    store, settings = _store(orders[0].payloads)
    pool = await create_pool(orders[0].dsn, application_name=APPLICATION, statement_timeout=STATEMENT_SECONDS)
    async with pool:
        effects = EffectStore(pool)
        await effects.ensure()
        resources = ImportResources(pool, effects, NotUsed(), NotUsed())
        harness = Told(app, resources, SystemClock(), claims=ClaimCheck(store, settings))
        _say({"step": "ready"})
        return sum([await carry_out(harness, order) for order in orders])


async def carry_out(harness: Told, order: Order) -> int:
    """0 when the task succeeded."""
    parameters = {"json_data": order.file, "user_id": order.user_id, "merge_strategy": order.merge_strategy}
    began = time.monotonic()
    outcome = await harness.run("import_rotcmis_data", parameters, task_id=order.task_id)
    told = {"seconds": time.monotonic() - began, "peak_mb": peak_mb(), "outcome": type(outcome).__name__}
    if not isinstance(outcome, Succeed):
        _say({**told, "result": str(outcome)})
        return 1
    _say({**told, "result": msgspec.json.decode(outcome.result)})
    return 0


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        sys.exit(runner.run(main([Order(**order) for order in json.loads(sys.argv[1])])))
