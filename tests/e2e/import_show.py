"""What imports promise, shown: `python tests/e2e/import_show.py [--cadets 1000] [--broken 5000] [--json]`.

The sample export of so many cadets is imported twice, in both key styles, then updates that give few keys; then rows
that must be refused, and people who may not import. On a PostgreSQL of its own unless told another. Exit code 1 when
anything came out otherwise than promised.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from import_service.resources import ImportResources
from import_service.tasks import app
from muster.adapters.clock import SystemClock
from muster.adapters.postgres import EffectStore, create_pool
from muster.testing import TaskHarness
from muster.worker.outcome import DeadLetter, Outcome, Succeed
from muster_local import processes
from muster_local.postgres import PostgresOptions, start_postgres
from rotc.connection import connected
from rotc.demo.rotcmis import export_text
from rotc.migrate import migrate

ADMIN, CADET, NEWCOMER, NOBODY = 1, 2, 3, 99
USERS = """INSERT INTO users (id, username, email, password, role, is_approved, created_at) VALUES
    (1, 'a', 'a@x', '', 'admin', true, now()), (2, 'c', 'c@x', '', 'cadet', true, now()),
    (3, 'n', 'n@x', '', 'training_staff', false, now())"""
NAMED = {"first_name": "Ana", "last_name": "Cruz"}
INJECTION = "Robert'); DROP TABLE cadets; --"
#: What is wrong with a row: the row, and each field with its reason.
BAD_ROWS: dict[str, tuple[dict[str, Any], set[tuple[str, str]]]] = {
    "mass assignment": (
        {"id": 777, "is_archived": True, "createdAt": "2020-01-01", "profile_pic": "x"},
        {(name, "not_allowed") for name in ("id", "is_archived", "createdAt", "profile_pic")},
    ),
    "wrong types": (
        {"middle_name": ["a"], "year_level": True, "age": "old", "birthdate": "31/12/2005", "email": "nobody"},
        {
            ("middle_name", "wrong_type"), ("year_level", "wrong_type"), ("age", "wrong_type"),
            ("birthdate", "not_a_date"), ("email", "not_an_email"),
        },
    ),
    "too long": ({"company": "x" * 51, "bloodType": "x" * 11}, {("company", "too_long"), ("blood_type", "too_long")}),
    "out of range": ({"year_level": 9, "age": 200}, {("year_level", "out_of_range"), ("age", "out_of_range")}),
    "no known status": ({"status": "Winner"}, {("status", "unknown_value")}),
    "not storable": ({"address": "a\0b"}, {("address", "bad_characters")}),
    "one field twice": ({"yearLevel": 1, "year_level": 2}, {("year_level", "given_twice")}),
}  # fmt: skip


class NoHost:
    """Takes reports, has nothing to fetch."""

    async def upload(self, data: bytes, public_id: str, resource_type: str) -> str:
        return f"https://storage.invalid/{public_id}"

    async def destroy(self, public_id: str) -> bool:
        return False

    async def fetch(self, url: str, *, max_bytes: int) -> bytes:
        raise AssertionError("nothing is fetched")


@dataclass
class Show:
    """Imports one after the other, and what was promised beside what was found."""

    harness: TaskHarness[ImportResources]
    lines: list[dict[str, Any]] = field(default_factory=list)
    runs: int = 0

    def compare(self, what: str, promised: object, found: object) -> None:
        self.lines.append({"what": what, "kept": promised == found, "promised": promised, "found": found})

    async def run(self, rows: Any, user_id: int = ADMIN, **more: Any) -> Outcome:
        self.runs += 1
        given = {"json_data": rows, "user_id": user_id, **more}
        return await self.harness.run("import_rotcmis_data", given, task_id=f"show-{self.runs}")

    async def result(self, rows: Any, **more: Any) -> dict[str, Any]:
        outcome = await self.run(rows, **more)
        if not isinstance(outcome, Succeed):
            raise SystemExit(f"an import did not succeed: {outcome}")
        result: dict[str, Any] = msgspec.json.decode(outcome.result)
        return result

    async def value(self, sql: str, *arguments: object) -> Any:
        return await self.harness.resources.pool.fetchval(sql, *arguments)


def counts(result: dict[str, Any]) -> dict[str, int]:
    names = ("created", "updated", "skipped", "error")
    return {name: result[f"{name}_count"] for name in names if result[f"{name}_count"]}


async def show_sample(show: Show, cadets: int) -> None:
    """The same cadets twice, in both key styles."""
    snake, camel = export_text(1, cadets), export_text(1, cadets, camel_case=True)
    rehearsed = await show.result(snake, dry_run=True)
    show.compare("dry run: says so", {"created": cadets}, counts(rehearsed))
    show.compare("dry run: writes nothing", 0, await show.value("SELECT count(*) FROM cadets"))
    show.compare("first import, snake_case", {"created": cadets}, counts(await show.result(snake)))
    show.compare("grades rows", cadets, await show.value("SELECT count(*) FROM grades"))
    audited = "SELECT count(*) FROM audit_logs WHERE table_name = 'cadets' AND operation = 'CREATE' AND user_id = 1"
    show.compare("audit rows of the person", cadets, await show.value(audited))
    show.compare("second import, camelCase", {"skipped": cadets}, counts(await show.result(camel)))
    again = await show.result(camel, merge_strategy="update")
    show.compare("as update, nothing differs", {"skipped": cadets}, counts(again))
    refused = await show.result(camel, merge_strategy="error")
    show.compare("as error, all refused", {"error": cadets}, counts(refused))


async def show_update(show: Show, cadets: int) -> None:
    """An update of one key touches that key."""
    others = "SELECT md5(string_agg(to_jsonb(c)::jsonb - 'company' #>> '{}', ',' ORDER BY id)) FROM cadets c"
    before = await show.value(others)
    ids = await show.harness.resources.pool.fetch("SELECT student_id FROM cadets")
    rows = [{"studentId": row["student_id"], "company": "Moved", "status": None, "course": ""} for row in ids]
    updated = await show.result(rows, merge_strategy="update")
    show.compare("update of one key", {"updated": cadets}, counts(updated))
    show.compare("it is written", cadets, await show.value("SELECT count(*) FROM cadets WHERE company = 'Moved'"))
    show.compare("no other column changed", before, await show.value(others))


async def show_refusals(show: Show, broken: int) -> None:
    """Each bad row beside a good one."""
    for number, (name, (bad, promised)) in enumerate(BAD_ROWS.items()):
        rows = [{"student_id": f"good-{number}", **NAMED}, {"student_id": f"bad-{number}", **NAMED, **bad}]
        result = await show.result(rows)
        show.compare(name, {"created": 1, "error": 1}, counts(result))
        found = sorted((error["row"], error["field"], error["code"]) for error in result["errors"])
        show.compare(f"{name}: row, field, reason", sorted((2, *reason) for reason in promised), found)
    twice = await show.result([{"student_id": "twice", **NAMED}] * 2)
    show.compare("a cadet twice", [[2, "student_id", "duplicate"]], [list(e.values())[:3] for e in twice["errors"]])
    await show.result([{"student_id": "sql", "first_name": INJECTION, "last_name": "Cruz"}])
    stored = await show.value("SELECT first_name FROM cadets WHERE student_id = 'sql'")
    show.compare("SQL in a name is a name", INJECTION, stored)
    many = await show.result([{"student_id": f"b-{n}", **NAMED, "age": "old"} for n in range(broken)])
    show.compare(f"{broken:,} broken rows counted", {"error": broken}, counts(many))
    show.compare("and the first of them listed", min(broken, 1000), len(many["errors"]))
    told = json.dumps(many) + str(await show.value("SELECT string_agg(message, '') FROM notifications"))
    show.compare("no value of a row is told", False, '"old"' in told or "Robert" in told)


async def show_people(show: Show) -> None:
    for name, user_id in (("a cadet", CADET), ("staff not approved", NEWCOMER), ("nobody", NOBODY)):
        outcome = await show.run([{"student_id": "never", **NAMED}], user_id=user_id)
        found = outcome.failure if isinstance(outcome, DeadLetter) else None
        refused = bool(found and found.kind == "permanent" and found.message.startswith("not allowed"))
        show.compare(f"{name} may not import", True, refused)
    show.compare("nothing came of it", 0, await show.value("SELECT count(*) FROM cadets WHERE student_id = 'never'"))


@asynccontextmanager
async def harness(dsn: str) -> AsyncIterator[TaskHarness[ImportResources]]:
    async with connected(dsn) as connection:
        await migrate(connection)
        await connection.execute(USERS)
    async with await create_pool(dsn) as pool:
        effects = EffectStore(pool)
        await effects.ensure()
        yield TaskHarness(app, ImportResources(pool, effects, NoHost(), NoHost()), SystemClock())


async def run(cadets: int, broken: int, dsn: str) -> Show:
    async with harness(dsn) as made:
        show = Show(made)
        await show_sample(show, cadets)
        await show_update(show, cadets)
        await show_refusals(show, broken)
        await show_people(show)
        return show


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cadets", type=int, default=1000)
    parser.add_argument("--broken", type=int, default=5000, help="rows that are all broken")
    parser.add_argument("--database-url", help="an empty database; without it, a server of its own")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of text")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = (
            None if asked.database_url else start_postgres(Path(folder) / "postgres", PostgresOptions(durable=False))
        )
        try:
            dsn = asked.database_url or (server.create_database("show") if server else "")
            show = asyncio.run(run(asked.cadets, asked.broken, dsn))
        finally:
            if server:
                processes.stop(server.identity)
    kept = all(line["kept"] for line in show.lines)
    if asked.json:
        print(json.dumps({"kept": kept, "lines": show.lines}))  # noqa: T201
    else:
        for line in show.lines:
            print(f"{'kept  ' if line['kept'] else 'BROKEN'} {line['what']:<40} {line['found']}")  # noqa: T201
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
