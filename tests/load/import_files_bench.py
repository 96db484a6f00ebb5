"""Files are refused with row, field and reason, and large ones need little: `python tests/load/import_files_bench.py`.

Every bad file is imported on a PostgreSQL of its own; then rosters as CSV and as workbook, a tenth of `--rows` and all
of them, each in a process of its own whose peak of memory is read. Exit code 1 when a file was not refused as promised,
a large import was not whole, or took more than 1.5 times the memory of a small one beside the file itself.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec
from import_files.bad_files import BAD_FILES, HEADER, BadFile, sheet_of, workbook
from import_service.resources import STATEMENT_SECONDS, ImportResources
from import_service.tasks import app
from muster.adapters.claim_store import ClaimStore
from muster.adapters.clock import SystemClock
from muster.adapters.postgres import EffectStore, create_pool
from muster.claim_check import ClaimCheck
from muster.contracts.claim_check import refer
from muster.settings import ClaimCheckSettings
from muster.testing import TaskHarness
from muster.worker.outcome import DeadLetter, Outcome, Succeed
from muster_local import processes
from muster_local.postgres import start_postgres
from rotc.connection import connected
from rotc.migrate import migrate

MOST_GROWTH = 1.5
USERS = """INSERT INTO users (id, username, email, password, role, is_approved, created_at) VALUES
    (1, 'a', 'a@x', '', 'admin', true, now()), (2, 'c', 'c@x', '', 'cadet', true, now()),
    (3, 'n', 'n@x', '', 'admin', false, now());
    INSERT INTO training_days (id, date, title, created_at) VALUES (1, '2026-01-04', 'First day', now())"""


@dataclass(frozen=True)
class Verdict:
    """What became of one bad file."""

    name: str
    ended: str
    kept: bool


@dataclass(frozen=True)
class Measured:
    """One import; megabytes of the whole process at its peak, and of the file."""

    kind: str
    rows: int
    seconds: float
    peak_mb: float
    file_mb: float
    created: int
    steps: int

    @property
    def beside_mb(self) -> float:
        return self.peak_mb - self.file_mb


class Storage:
    """Takes every report, keeps none; the web is not used."""

    async def upload(self, data: bytes, public_id: str, resource_type: str) -> str:
        return f"https://storage.invalid/{public_id}"

    async def destroy(self, public_id: str) -> bool:
        return False

    async def fetch(self, url: str, *, max_bytes: int) -> bytes:
        raise AssertionError("nothing is fetched")


@asynccontextmanager
async def harness(dsn: str, payloads: str) -> AsyncIterator[TaskHarness[ImportResources]]:
    settings = ClaimCheckSettings(url=Path(payloads).as_uri())
    pool = await create_pool(dsn, statement_timeout=STATEMENT_SECONDS)
    async with pool:
        effects = EffectStore(pool)
        await effects.ensure()
        resources = ImportResources(pool, effects, Storage(), Storage())
        yield TaskHarness(app, resources, SystemClock(), claims=ClaimCheck(ClaimStore(settings), settings))


async def send(worker: TaskHarness[ImportResources], bad: BadFile, number: int) -> Verdict:
    file = base64.b64encode(bad.data()).decode()
    given = {"file": file, "entity_type": bad.entity_type, "user_id": bad.user_id}
    outcome = await worker.run("import_csv", given, task_id=f"bad-{number}")
    if isinstance(outcome, DeadLetter):
        said = outcome.failure.message
        return Verdict(bad.name, f"refused: {said}", bool(bad.words) and bad.words in said)
    if not isinstance(outcome, Succeed):
        return Verdict(bad.name, str(outcome)[:200], False)
    result = msgspec.json.decode(outcome.result)
    found = tuple((one["row"], one["field"], one["code"]) for one in result["errors"])
    refused = bad.refused or len({row for row, _, _ in bad.rows})
    whole = (result["created_count"], result["error_count"]) == (bad.created, refused)
    named = found == bad.rows or (bad.refused > 0 and len(found) == min(1000, bad.refused))
    first = ", ".join(f"row {row} {field}: {code}" for row, field, code in found[:2])
    ended = f"{result['created_count']:,} created, {result['error_count']:,} refused {first and f'({first} ...)'}"
    return Verdict(bad.name, ended, whole and named and not bad.words)


async def judge(dsn: str, payloads: str) -> list[Verdict]:
    async with harness(dsn, payloads) as worker:
        return [await send(worker, bad, number) for number, bad in enumerate(BAD_FILES)]


def roster(kind: str, rows: int) -> bytes:
    lines = [[f"R-{number:07d}", f"Ana Maria {number}", "Dela Cruz y Santos"] for number in range(rows)]
    if kind == "workbook":
        return workbook(sheet_of([HEADER.split(","), *lines]))
    return "\n".join([HEADER, *(",".join(line) for line in lines)]).encode()


async def measure(server: Any, payloads: str, kind: str, rows: int) -> Measured:
    dsn = server.create_database(f"files_{kind}_{rows}")
    await prepare(dsn)
    data, task_id = roster(kind, rows), f"{kind}-{rows}"
    reference = refer(task_id, data, now=SystemClock().now())
    await ClaimStore(ClaimCheckSettings(url=Path(payloads).as_uri())).put(reference.key, data)
    order = {"dsn": dsn, "payloads": payloads, "task_id": task_id, "file": msgspec.to_builtins(reference)}
    arguments = [sys.executable, __file__, "--child", json.dumps(order)]
    done = await asyncio.to_thread(subprocess.run, arguments, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    told = json.loads(done.stdout.splitlines()[-1])
    return Measured(kind, rows, **told, file_mb=len(data) / 2**20)


async def child(order: dict[str, Any]) -> None:
    """Imports one file and prints what it took."""
    async with harness(order["dsn"], order["payloads"]) as worker:
        given = {"file": order["file"], "entity_type": "cadets", "user_id": 1}
        began = time.monotonic()
        outcome: Outcome = await worker.run("import_csv", given, task_id=order["task_id"])
        seconds = time.monotonic() - began
    if not isinstance(outcome, Succeed):
        raise SystemExit(str(outcome))
    created = msgspec.json.decode(outcome.result)["created_count"]
    told = {"seconds": seconds, "peak_mb": _peak_mb(), "created": created, "steps": len(worker.progress)}
    print(json.dumps(told))  # noqa: T201


def _peak_mb() -> float:
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024


async def prepare(dsn: str) -> None:
    async with connected(dsn) as connection:
        await migrate(connection)
        await connection.execute(USERS)


async def run(rows: int) -> tuple[list[Verdict], list[Measured]]:
    with tempfile.TemporaryDirectory(prefix="muster-files-") as folder:
        server = start_postgres(Path(folder) / "postgres")
        payloads = str(Path(folder) / "payloads")
        try:
            dsn = server.create_database("files")
            await prepare(dsn)
            verdicts = await judge(dsn, payloads)
            sizes = [(kind, size) for kind in ("csv", "workbook") for size in (rows // 10, rows)] if rows else []
            return verdicts, [await measure(server, payloads, kind, size) for kind, size in sizes]
        finally:
            processes.stop(server.identity)


def broken(verdicts: list[Verdict], measured: list[Measured]) -> list[str]:
    """Promises that were not kept."""
    broke = [f"{one.name}: {one.ended}" for one in verdicts if not one.kept]
    for small, large in zip(measured[::2], measured[1::2], strict=True):
        broke += [
            f"{one.kind}: {one.created:,} of {one.rows:,} rows came in"
            for one in (small, large)
            if one.created < one.rows
        ]
        if large.beside_mb > MOST_GROWTH * small.beside_mb:
            broke.append(
                f"{large.kind}: {large.beside_mb:.0f} MB beside the file, a tenth of it {small.beside_mb:.0f} MB"
            )
    return broke


def show(verdicts: list[Verdict], measured: list[Measured]) -> None:
    for one in verdicts:
        print(f"{'kept  ' if one.kept else 'BROKEN'} {one.name:<26} {one.ended[:140]}")  # noqa: T201
    for found in measured:
        print(  # noqa: T201
            f"{found.kind:<8} {found.rows:>8,} rows {found.seconds:>7.2f} s {found.rows / found.seconds:>7,.0f} rows/s "
            f"peak {found.peak_mb:>4.0f} MB beside a file of {found.file_mb:.1f} MB, {found.steps} steps told"
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000, help="rows of the large files; 0: only the bad files")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        asyncio.run(child(json.loads(asked.child)))
        return 0
    verdicts, measured = asyncio.run(run(asked.rows))
    broke = broken(verdicts, measured)
    if asked.json:
        told = {
            "files": [asdict(one) for one in verdicts],
            "imports": [asdict(one) for one in measured],
            "broken": broke,
        }
        print(json.dumps(told))  # noqa: T201
    else:
        show(verdicts, measured)
        print("\n".join(f"BROKEN: {one}" for one in broke) or "every promise kept")  # noqa: T201
    return 1 if broke else 0


if __name__ == "__main__":
    sys.exit(main())
