"""How long an import takes and how much memory: `python tests/load/import_bench.py [--rows 10000] [--large 100000]`.

On a PostgreSQL of its own, with fsync. The same cadets are imported by the task (grades and audit rows with them), then
row by row as the backend did (a transaction each: look, cadet, grades, two audit rows), then again as skip and update.
Exit code 1 when 10,000 rows need more than 3 s, or the large import 1.5 times a small one's memory beside its file.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
from import_child import Order, command, put
from import_service.domain.cadets import CADETS
from import_service.domain.rows import Row
from import_service.domain.validation import Validation
from muster_local import processes
from muster_local.postgres import start_postgres
from rotc.connection import connected
from rotc.demo.rotcmis import export, export_text
from rotc.migrate import migrate

MOST_SECONDS, FOR_ROWS, MOST_GROWTH = 3.0, 10_000, 1.5
ADMIN = """INSERT INTO users (id, username, email, password, role, is_approved, created_at)
    VALUES (1, 'bench', 'bench@example', '', 'admin', true, now())"""
_COLUMNS = [column.name for column in CADETS.columns]
_CADET = f"""INSERT INTO cadets ({", ".join(_COLUMNS)}, is_profile_completed, is_archived, created_at)
    VALUES ({", ".join(f"${n}" for n in range(1, len(_COLUMNS) + 1))}, false, false, now()) RETURNING id"""  # noqa: S608
_GRADES = """INSERT INTO grades (cadet_id, attendance_present, merit_points, demerit_points)
    VALUES ($1, 0, 0, 0) RETURNING id"""
_AUDIT = {
    table: f"""INSERT INTO audit_logs (table_name, operation, record_id, user_id, payload, created_at)
    SELECT '{table}', 'CREATE', t.id, 1, to_jsonb(t), now() FROM {table} AS t WHERE t.id = $1"""  # noqa: S608
    for table in ("cadets", "grades")
}


@dataclass(frozen=True)
class Measured:
    """One import: its seconds, the peak of its process (VmHWM), and that without the file it has to hold."""

    name: str
    rows: int
    seconds: float
    peak_mb: float = 0.0
    file_mb: float = 0.0
    progress: int = 0
    counts: Mapping[str, int] | None = None

    @property
    def beside_mb(self) -> float:
        return self.peak_mb - self.file_mb

    def line(self) -> str:
        memory = f"{self.peak_mb:>5.0f} MB peak (file {self.file_mb:.0f}), progress told {self.progress}x"
        memory = memory if self.peak_mb else ""
        counts = ", ".join(f"{count:,} {what}" for what, count in (self.counts or {}).items() if count)
        speed = f"{self.seconds:>7.2f} s {self.rows / self.seconds:>8,.0f} rows/s"
        return f"{self.name:<22} {self.rows:>8,} rows {speed} {memory} {counts}"


@dataclass(frozen=True)
class Wanted:
    """An import to be measured."""

    name: str
    rows: int
    text: str
    strategy: str = "skip"


async def imported(dsn: str, payloads: str, *wanted: Wanted) -> list[Measured]:
    """The task, once for each, in a process of their own."""
    orders = []
    for one in wanted:
        task_id = str(uuid.uuid4())
        orders.append(Order(dsn, payloads, task_id, await put(payloads, task_id, one.text.encode()), one.strategy))
    lines = await asyncio.to_thread(_run, command(*orders))
    ends = [index for index, line in enumerate(lines) if "outcome" in line]
    return [
        _measured(one, lines[before + 1 : end + 1]) for one, before, end in zip(wanted, [0, *ends], ends, strict=False)
    ]


def _measured(wanted: Wanted, lines: list[dict[str, Any]]) -> Measured:
    told = lines[-1]
    if told["outcome"] != "Succeed":
        raise SystemExit(f"the import ended in {told['outcome']}: {told['result']}")
    counts = {what: told["result"][f"{what}_count"] for what in ("created", "updated", "skipped", "error")}
    progress = sum(line.get("step") == "checking rows" for line in lines)
    size = len(wanted.text.encode()) / 2**20
    return Measured(wanted.name, wanted.rows, told["seconds"], told["peak_mb"], size, progress, counts)


def _run(arguments: list[str]) -> list[dict[str, Any]]:
    done = subprocess.run(arguments, check=False, capture_output=True, text=True)  # noqa: S603
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    if not lines or "outcome" not in lines[-1]:
        raise SystemExit(done.stderr)
    return lines


async def row_by_row(dsn: str, rows: int) -> Measured:
    """The same records in the backend's way, on one connection without the ORM's own cost."""
    validation = Validation(CADETS)
    records = [validation.check(Row(number, row)) for number, row in enumerate(export(1, rows), 1)]
    connection = await asyncpg.connect(dsn)
    began = time.monotonic()
    for record in records:
        async with connection.transaction():
            if await connection.fetchval("SELECT 1 FROM cadets WHERE student_id = $1", record[1]):
                continue
            values = dict(zip(_COLUMNS, record[1:], strict=True)) | {"status": "Ongoing"}
            cadet = await connection.fetchval(_CADET, *values.values())
            await connection.execute(_AUDIT["cadets"], cadet)
            await connection.execute(_AUDIT["grades"], await connection.fetchval(_GRADES, cadet))
    seconds = time.monotonic() - began
    await connection.close()
    return Measured("row by row", rows, seconds)


async def measure(folder: Path, rows: int, large: int) -> list[Measured]:
    server = start_postgres(folder / "postgres")
    payloads = str(folder / "payloads")
    try:
        dsns = [server.create_database(name) for name in ("ours", "naive", "large")]
        for dsn in dsns:
            async with connected(dsn) as connection:
                await migrate(connection)
                await connection.execute(ADMIN)
        text = export_text(1, rows)
        changed = text.replace('"rotc_unit": "', '"rotc_unit": "New ')
        found = [
            *await imported(dsns[0], payloads, Wanted("import, created", rows, text)),
            await row_by_row(dsns[1], rows),
            *await imported(
                dsns[0],
                payloads,
                Wanted("again, skipped", rows, text),
                Wanted("update, all changed", rows, changed, "update"),
                Wanted("update, none changed", rows, changed, "update"),
            ),
        ]
        if large:
            wanted = Wanted("large import, created", large, export_text(2, large))
            found += await imported(dsns[2], payloads, wanted)
        return found
    finally:
        processes.stop(server.identity)


def broken(found: list[Measured]) -> list[str]:
    """Promises that these figures break."""
    ours, last = found[0], found[-1]
    broke = []
    if ours.seconds > MOST_SECONDS * max(1.0, ours.rows / FOR_ROWS):
        broke.append(f"{ours.rows:,} rows took {ours.seconds:.2f} s, more than {MOST_SECONDS:g} s per {FOR_ROWS:,}")
    for one in found:
        counts = one.counts or {"created": one.rows}
        if one.rows not in counts.values() or (one.progress == 0 and one.counts):
            broke.append(f"{one.name}: not all rows came to one end, or no progress was told: {counts}")
    if last.rows > ours.rows and last.beside_mb > MOST_GROWTH * ours.beside_mb:
        broke.append(f"the large import took {last.beside_mb:.0f} MB beside its file, a small one {ours.beside_mb:.0f}")
    return broke


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--large", type=int, default=100_000, help="rows of the large import; 0: none")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of text")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(measure(Path(folder), asked.rows, asked.large))
    broke = broken(found)
    if asked.json:
        print(json.dumps({"imports": [one.__dict__ for one in found], "broken": broke}, default=dict))  # noqa: T201
        return 1 if broke else 0
    for one in found:
        print(one.line())  # noqa: T201
    print(f"{found[1].seconds / found[0].seconds:.1f} times as fast as row by row")  # noqa: T201
    print("\n".join(f"BROKEN: {sentence}" for sentence in broke) or "kept")  # noqa: T201
    return 1 if broke else 0


if __name__ == "__main__":
    sys.exit(main())
