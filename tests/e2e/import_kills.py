"""Imports killed in the middle: `python tests/e2e/import_kills.py [--kills 20] [--rows 3000] [--seed 1] [--json]`.

Each round imports cadets nobody has yet, or changes those of the round before, in a process that is killed (SIGKILL) at
a random moment between its start and its end. Once the database has noticed, either nothing of the import must be
there, or all of it (the kill came after the commit): cadets, grades, audit rows, notice, guard. Then the same task is
run to its end, twice: everything must be there once. Exit code 1 when anything else was found.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
from muster_local import processes
from muster_local.postgres import PostgresOptions, start_postgres
from rotc.connection import connected
from rotc.demo.rotcmis import export
from rotc.migrate import migrate

sys.path.insert(0, str(Path(__file__).parents[1] / "load"))
from import_child import APPLICATION, Order, command, put

ADMIN = """INSERT INTO users (id, username, email, password, role, is_approved, created_at)
    VALUES (1, 'kills', 'kills@example', '', 'admin', true, now())"""
#: What an import leaves behind, as one row of counts.
STATE = """SELECT
    (SELECT count(*) FROM cadets WHERE company = $1) AS cadets,
    (SELECT count(*) FROM cadets AS c WHERE company = $1 AND (SELECT count(*) FROM grades WHERE cadet_id = c.id) = 1)
        AS grades,
    (SELECT count(*) FROM audit_logs WHERE table_name = 'cadets' AND payload ->> 'company' = $1) AS audited,
    (SELECT count(*) FROM audit_logs WHERE table_name = 'imports' AND payload ->> 'task_id' = $2) AS noted,
    (SELECT count(*) FROM notifications) - (SELECT count(*) FROM audit_logs WHERE table_name = 'imports') AS notices,
    (SELECT count(*) FROM muster.effects WHERE task_id = $2) AS guards"""
SESSIONS = "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1"


@dataclass
class Tally:
    """What was found; `struck` says in which step kills hit, `left` what they left behind."""

    kills: int = 0
    struck: Counter[str] = field(default_factory=Counter)
    left: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)


@dataclass
class Rounds:
    """One database, and imports one after the other."""

    connection: asyncpg.Connection[asyncpg.Record]
    dsn: str
    payloads: str
    rows: int
    chance: random.Random
    tally: Tally = field(default_factory=Tally)
    #: Seconds an undisturbed import takes here.
    usual: float = 0.0

    async def run(self, kills: int) -> Tally:
        self.usual = await self._undisturbed(await self._order(0), self._company(0))
        for number in range(1, kills + 1):
            await self._round(number)
        return self.tally

    async def _order(self, number: int) -> Order:
        """Even rounds create, odd ones change the cadets of the round before."""
        group = number // 2
        text = json.dumps(
            [
                {**row, "student_id": f"{group}-{row['student_id']}", "company": self._company(number)}
                for row in export(1, self.rows)
            ]
        )
        task_id = f"kill-{number}"
        file = await put(self.payloads, task_id, text.encode())
        return Order(self.dsn, self.payloads, task_id, file, "update" if number % 2 else "skip")

    @staticmethod
    def _company(number: int) -> str:
        return f"Round {number}"

    async def _round(self, number: int) -> None:
        order, company = await self._order(number), self._company(number)
        step = await _killed(order, self.usual * self.chance.uniform(0, 1.1))
        self.tally.kills += 1
        self.tally.struck[step] += 1
        await self._forgotten()
        self.tally.left[await self._judge(order, company)] += 1
        self.usual = (self.usual + await self._undisturbed(order, company, runs=2)) / 2

    async def _undisturbed(self, order: Order, company: str, runs: int = 1) -> float:
        """Runs the task to its end, and looks that everything is there once. Seconds it took."""
        lines = await _lines(None, *[order] * runs)
        told = lines[-1]
        if told.get("outcome") != "Succeed" or told["result"]["success_count"] != self.rows:
            self.tally.violations.append(f"{order.task_id}: the repeated task did not end right: {told}")
        if await self._judge(order, company) == "nothing":
            self.tally.violations.append(f"{order.task_id}: the repeated task left nothing")
        return next((float(line["seconds"]) for line in lines if "seconds" in line), self.usual)

    async def _judge(self, order: Order, company: str) -> str:
        """`nothing` or `everything`; half of it is noted as a violation."""
        row = await self.connection.fetchrow(STATE, company, order.task_id)
        state = dict(row or {})
        whole = dict.fromkeys(("cadets", "grades", "audited"), self.rows) | {"noted": 1, "notices": 0, "guards": 1}
        if state == whole:
            return "everything"
        if not any(state.values()):
            return "nothing"
        self.tally.violations.append(f"{order.task_id}: half an import: {state}")
        return "half"

    async def _forgotten(self) -> None:
        """Until the server has ended the sessions of the killed process."""
        while await self.connection.fetchval(SESSIONS, APPLICATION):  # noqa: ASYNC110  nobody tells
            await asyncio.sleep(0.02)


async def _killed(order: Order, after: float) -> str:
    """Runs the import and kills it so many seconds after it was ready; the step it was in."""
    last = (await _lines(after, order))[-1]
    return str(last.get("step", "ended already"))


async def _lines(kill_after: float | None, *orders: Order) -> list[dict[str, Any]]:
    process = await asyncio.create_subprocess_exec(*command(*orders), stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    lines: list[dict[str, Any]] = []
    killer: asyncio.Task[None] | None = None
    async for line in process.stdout:
        lines.append(json.loads(line))
        if killer is None and kill_after is not None:
            killer = asyncio.create_task(_kill(process, kill_after))
    await process.wait()
    if killer is not None:
        killer.cancel()
    return lines


async def _kill(process: asyncio.subprocess.Process, after: float) -> None:
    await asyncio.sleep(after)
    if process.returncode is None:
        process.kill()


@asynccontextmanager
async def database(given: str | None, folder: Path) -> AsyncIterator[str]:
    """The given one, or one of a server of its own."""
    if given:
        yield given
        return
    server = start_postgres(folder / "postgres", PostgresOptions(durable=False))
    try:
        yield server.create_database("kills")
    finally:
        processes.stop(server.identity)


async def strike(kills: int, rows: int, seed: int, dsn: str | None) -> Tally:
    with tempfile.TemporaryDirectory() as folder:
        async with database(dsn, Path(folder)) as target, connected(target) as connection:
            await migrate(connection)
            await connection.execute(ADMIN)
            payloads = str(Path(folder) / "payloads")
            rounds = Rounds(connection, target, payloads, rows, random.Random(seed))
            return await rounds.run(kills)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--rows", type=int, default=3000, help="cadets of each import")
    parser.add_argument("--seed", type=int, default=1, help="of the moments in which processes are killed")
    parser.add_argument("--database-url", help="an empty database; without it, a server of its own")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of text")
    asked = parser.parse_args()
    tally = asyncio.run(strike(asked.kills, asked.rows, asked.seed, asked.database_url))
    if asked.json:
        print(json.dumps(tally.__dict__))  # noqa: T201
    else:
        struck = ", ".join(f"{count} at: {step}" for step, count in tally.struck.items())
        left = ", ".join(f"{count} left {what}" for what, count in tally.left.items())
        print(f"{tally.kills} imports of {asked.rows:,} cadets killed: {struck}; {left}")  # noqa: T201
        print("\n".join(tally.violations) or "never half an import, and every repeated task ended right")  # noqa: T201
    return 1 if tally.violations else 0


if __name__ == "__main__":
    sys.exit(main())
