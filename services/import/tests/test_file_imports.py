"""Files of cadets, grades and attendance on a real database: what is written, counted, told and refused, once."""

from __future__ import annotations

import asyncio
import base64
import csv
import io
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import openpyxl
import pytest
from import_service.resources import ImportResources
from import_service.tasks import app
from muster.adapters.clock import SystemClock
from muster.adapters.postgres import EffectStore, create_pool
from muster.testing import TaskHarness
from muster.worker.outcome import DeadLetter, Outcome, Succeed
from rotc.connection import connected
from rotc.migrate import migrate
from rotc.storage import StorageUnavailable

ADMIN, CADET, NEWCOMER = 1, 3, 4
ROWS = """
INSERT INTO users (id, username, email, password, role, is_approved, created_at) VALUES
    (1, 'a', 'a@x', '', 'admin', true, now()), (3, 'c', 'c@x', '', 'cadet', true, now()),
    (4, 'n', 'n@x', '', 'admin', false, now());
INSERT INTO cadets (id, student_id, first_name, last_name, status, is_profile_completed, is_archived, created_at)
    SELECT n, 'S-00' || n, 'Ana', 'Cruz', 'Ongoing', false, false, now() FROM generate_series(1, 4) n;
INSERT INTO grades (cadet_id, attendance_present, merit_points, demerit_points, prelim_score)
    VALUES (1, 0, 0, 0, NULL), (2, 3, 5, 0, 80), (3, 0, 0, 0, NULL);
INSERT INTO training_days (id, date, title, created_at) VALUES
    (1, '2026-01-04', 'First day', now()), (2, '2026-01-11', 'Second day', now());
INSERT INTO attendance_records (training_day_id, cadet_id, status, time_in, created_at) VALUES
    (1, 2, 'present', '07:00', now()), (1, 3, 'absent', NULL, now());
SELECT setval(pg_get_serial_sequence('cadets', 'id'), 100);
"""


@dataclass
class MemoryStorage:
    """A storage that remembers what it was given, and is out of order when told to be."""

    files: dict[str, bytes] = field(default_factory=dict)
    broken: bool = False

    async def upload(self, data: bytes, public_id: str, resource_type: str) -> str:
        assert resource_type == "raw"
        if self.broken:
            raise StorageUnavailable("The storage asks us to slow down.")
        self.files[public_id] = data
        return f"https://res.example/{public_id}"

    async def destroy(self, public_id: str) -> bool:
        return self.files.pop(public_id, None) is not None


class NoWeb:
    async def fetch(self, url: str, *, max_bytes: int) -> bytes:
        raise AssertionError(f"{url} was fetched")


@dataclass
class Unit:
    """Cadets S-001 to S-004, the last without grades; two training days; an admin and a worker."""

    harness: TaskHarness[ImportResources]
    storage: MemoryStorage

    async def send(
        self, text: str | bytes, entity_type: str = "cadets", *, task_id: str = "t1", **more: Any
    ) -> Outcome:
        data = text.encode() if isinstance(text, str) else text
        file = base64.b64encode(data).decode()
        given = {"file": file, "entity_type": entity_type, "user_id": ADMIN, **more}
        return await self.harness.run("import_csv", given, task_id=task_id)

    async def brings(self, text: str | bytes, entity_type: str = "cadets", **more: Any) -> dict[str, Any]:
        outcome = await self.send(text, entity_type, **more)
        assert isinstance(outcome, Succeed), outcome
        result: dict[str, Any] = json.loads(outcome.result)
        return result

    async def rows(self, query: str) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in await self.harness.resources.pool.fetch(query)]

    async def grades(self) -> dict[str, tuple[Any, ...]]:
        query = """SELECT c.student_id, g.attendance_present, g.merit_points, g.demerit_points, g.prelim_score,
            g.midterm_score, g.final_score FROM cadets c JOIN grades g ON g.cadet_id = c.id"""
        return {row[0]: row[1:] for row in await self.rows(query)}

    async def events(self) -> list[tuple[str, int, dict[str, Any]]]:
        return [
            tuple(row) for row in await self.rows("SELECT event_type, cadet_id, payload FROM sync_events ORDER BY id")
        ]

    async def audits(self) -> list[tuple[str, str, int]]:
        query = "SELECT table_name, operation, user_id FROM audit_logs WHERE record_id > 0 ORDER BY id"
        return [tuple(row) for row in await self.rows(query)]

    def report(self, task_id: str = "t1") -> list[list[str]]:
        text = self.storage.files[f"rotc/imports/{task_id}.csv"].decode("utf-8-sig")
        return list(csv.reader(io.StringIO(text)))


def counts(result: dict[str, Any]) -> tuple[int, ...]:
    return tuple(result[f"{name}_count"] for name in ("created", "updated", "skipped", "error"))


def errors(result: dict[str, Any]) -> list[tuple[int, str, str]]:
    return [(one["row"], one["field"], one["code"]) for one in result["errors"]]


@pytest.fixture
async def unit(postgres: str) -> AsyncIterator[Unit]:
    async with connected(postgres) as connection:
        await migrate(connection)
        await connection.execute(ROWS)
    storage = MemoryStorage()
    async with await create_pool(postgres, max_size=4, application_name="test") as pool:
        effects = EffectStore(pool)
        await effects.ensure()
        resources = ImportResources(pool, effects, storage, NoWeb())
        yield Unit(TaskHarness(app, resources, SystemClock()), storage)


NEW = "Student ID;First Name;Surname;Company;Year Level\n2026-1;José;Peña;Alpha;2\n2026-2;Ben;Cruz;;\n"


async def test_a_roster_from_excel_creates_its_cadets_and_a_second_time_nothing(unit: Unit) -> None:
    made = openpyxl.Workbook()
    assert made.active is not None
    for row in (["Student ID", "First Name", "Surname", "Birthdate"], [20261001, "José", "Peña", 38_442]):
        made.active.append(row)
    file = io.BytesIO()
    made.save(file)

    first = await unit.brings(NEW.encode("cp1252"))
    again = await unit.brings(NEW.encode("utf-16"), task_id="t2")
    book = await unit.brings(file.getvalue(), task_id="t3")

    assert (counts(first), counts(again), counts(book)) == ((2, 0, 0, 0), (0, 0, 2, 0), (1, 0, 0, 0))
    assert "Windows-1252" in first["warnings"][0]
    query = "SELECT student_id, last_name, company, year_level, birthdate::text FROM cadets WHERE id > 100 ORDER BY id"
    assert await unit.rows(query) == [
        ("2026-1", "Peña", "Alpha", 2, None), ("2026-2", "Cruz", None, None, None),
        ("20261001", "Peña", None, None, "2005-03-31"),
    ]  # fmt: skip
    assert len(await unit.grades()) == 6


async def test_broken_rows_are_named_and_the_others_come_in(unit: Unit) -> None:
    long, sql = "x" * 256, "Robert'); DROP TABLE cadets;--"
    text = (
        "student_id,first_name,last_name,year_level,email,is_archived,nonsense,birthdate\n"
        f"2026-1,{sql},Cruz,3,a@b.ph,,,2005-01-31\n"
        f"2026-2,{long},Cruz,9,nobody,true,y,31/01/2005\n"
        "2026-1,Twice,Cruz,,,,,\n"
        "x,Short,Cruz,,,,,\n"
        ",None,Cruz,,,,,\n"
        "2026-3,Only,Cruz,,,,,,,one too many\n"
        "1.23E+11,Rounded,Cruz,,,,,\n"
    )

    result = await unit.brings(text)

    assert counts(result) == (1, 0, 0, 6)
    assert errors(result) == [
        (2, "birthdate", "not_a_date"), (2, "email", "not_an_email"), (2, "first_name", "too_long"),
        (2, "is_archived", "not_allowed"), (2, "year_level", "out_of_range"), (3, "student_id", "duplicate"),
        (4, "student_id", "too_short"), (5, "student_id", "required"), (6, "(row)", "too_many_cells"),
        (7, "student_id", "rounded_number"),
    ]  # fmt: skip
    assert await unit.rows("SELECT first_name FROM cadets WHERE student_id = '2026-1'") == [(sql,)]
    assert long not in json.dumps(result)


async def test_five_thousand_broken_rows_are_counted_and_their_reasons_lie_in_a_file(unit: Unit) -> None:
    text = "student_id,first_name,last_name,year_level\n" + "".join(f"N-{n},Ana,Cruz,nine\n" for n in range(5_000))

    result = await unit.brings(text)

    assert (counts(result), result["total"], result["problem_count"]) == ((0, 0, 0, 5_000), 5_000, 5_000)
    assert len(result["errors"]) == 1_000
    [header, first, *rest] = unit.report()
    assert header == ["row", "outcome", "record_id", "field", "code", "message"]
    assert first == ["1", "refused", "", "year_level", "wrong_type", "must be a whole number"]
    assert len(rest) == 4_999
    assert result["report_url"] == "https://res.example/rotc/imports/t1.csv"


async def test_a_report_runs_nothing_in_a_spreadsheet(unit: Unit) -> None:
    await unit.brings("student_id,first_name,last_name,=is_archived\n2026-1,Ana,Cruz,1\n2026-2,Ben,Cruz,\n")

    assert [line[:4] for line in unit.report()[1:]] == [
        ["1", "refused", "", "'=is_archived"],
        ["2", "created", "101", ""],
    ]


async def test_a_storage_out_of_order_costs_the_report_alone(unit: Unit) -> None:
    unit.storage.broken = True

    result = await unit.brings(NEW)

    assert (counts(result), result["report_url"]) == ((2, 0, 0, 0), None)
    assert any("could not be stored" in warning for warning in result["warnings"])


async def test_grades_fill_what_is_empty_and_overwrite_only_when_asked(unit: Unit) -> None:
    text = (
        "student_id,prelim,midterm score,merit\n"
        "S-001,88.5,,4\nS-002,90,70,\nS-004,100,,\nS-003,,,\nS-999,1,1,1\nS-001,1,,\n"
    )

    skipped = await unit.brings(text, "grades")
    after_skip = await unit.grades()
    updated = await unit.brings(text, "grades", task_id="t2", merge_strategy="update")
    refused = await unit.brings(text, "grades", task_id="t3", merge_strategy="error")

    assert counts(skipped) == (2, 0, 1, 3)
    assert errors(skipped) == [(4, "(row)", "empty"), (5, "student_id", "unknown"), (6, "student_id", "duplicate")]
    assert after_skip["S-001"] == (0, 4, 0, 88.5, None, None)
    assert after_skip["S-002"] == (3, 5, 0, 80, None, None)
    assert after_skip["S-004"] == (0, 0, 0, 100, None, None)
    assert counts(updated) == (0, 1, 2, 3)
    assert (await unit.grades())["S-002"] == (3, 5, 0, 90, 70, None)
    assert counts(refused) == (0, 0, 0, 6)


async def test_new_scores_are_told_as_the_backend_tells_them(unit: Unit) -> None:
    await unit.brings("student_id,prelim,merit\nS-002,91,6\nS-001,,7\n", "grades", merge_strategy="update")

    changed = {"prelim_score": 91}
    told = {"prelim_score": 91, "midterm_score": None, "final_score": None, "changed_scores": changed}
    assert await unit.events() == [("exam_score_update", 2, told)]
    assert await unit.audits() == [("grades", "UPDATE", ADMIN)] * 2


async def test_a_grade_entered_while_an_import_waits_for_it_is_not_overwritten(unit: Unit) -> None:
    pool = unit.harness.resources.pool
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"

    async with pool.acquire() as backend, backend.transaction():
        await backend.execute("UPDATE grades SET prelim_score = 77 WHERE cadet_id = 1")
        running = asyncio.create_task(unit.brings("student_id,prelim\nS-001,90\n", "grades"))
        async with asyncio.timeout(60):
            while not await pool.fetchval(waiting):  # noqa: ASYNC110  PostgreSQL tells nobody who waits
                await asyncio.sleep(0.01)
    result = await running

    assert counts(result) == (0, 0, 1, 0)
    assert (await unit.grades())["S-001"][3] == 77


IMPOSSIBLE_GRADES = [
    ("S-001,101,", "prelim_score", "out_of_range"), ("S-001,-1,", "prelim_score", "out_of_range"),
    ("S-001,nan,", "prelim_score", "wrong_type"), ("S-001,ten,", "prelim_score", "wrong_type"),
    ("S-001,,1.5", "merit_points", "wrong_type"), ("S-001,,-3", "merit_points", "out_of_range"),
    ("S-001,,99999999999", "merit_points", "out_of_range"),
]  # fmt: skip


async def test_a_grade_that_cannot_be_is_refused(unit: Unit) -> None:
    for number, (line, field_name, code) in enumerate(IMPOSSIBLE_GRADES):
        result = await unit.brings(f"student_id,prelim_score,merit_points\n{line}\n", "grades", task_id=f"g{number}")

        assert (counts(result), errors(result)) == ((0, 0, 0, 1), [(1, field_name, code)]), line


ATTENDANCE = (
    "Student ID,Training Day ID,Status,Time In,Time Out\n"
    "S-001,1,P,7:05 AM,16:00\nS-002,1,absent,,\nS-003,1,✓,07:00,\nS-004,2,yes,,\nS-001,2,late,,\n"
)


async def test_attendance_counts_in_the_grades_and_is_told(unit: Unit) -> None:
    result = await unit.brings(ATTENDANCE, "attendance", merge_strategy="update")

    assert counts(result) == (3, 2, 0, 0)
    assert {student: row[0] for student, row in (await unit.grades()).items()} == {
        "S-001": 1, "S-002": 2, "S-003": 1, "S-004": 1,
    }  # fmt: skip
    query = (
        "SELECT training_day_id, cadet_id, status, time_in::text, time_out::text FROM attendance_records ORDER BY 1, 2"
    )
    assert await unit.rows(query) == [
        (1, 1, "present", "07:05:00", "16:00:00"), (1, 2, "absent", "07:00:00", None),
        (1, 3, "present", "07:00:00", None), (2, 1, "late", None, None), (2, 4, "present", None, None),
    ]  # fmt: skip
    events = await unit.events()
    assert [(kind, cadet, payload["attendance_present"]) for kind, cadet, payload in events] == [
        ("attendance_update", 1, 1), ("attendance_update", 2, 2), ("attendance_update", 3, 1),
        ("attendance_update", 4, 1),
    ]  # fmt: skip
    assert events[0][2] == {
        "training_day_id": 1, "status": "present", "attendance_present": 1, "time_in": "07:05:00",
        "time_out": "16:00:00",
    }  # fmt: skip
    audited = [(table, operation) for table, operation, user in await unit.audits() if user == ADMIN]
    assert audited.count(("attendance_records", "CREATE")) == 3
    assert audited.count(("attendance_records", "UPDATE")) == 2
    assert audited.count(("grades", "CREATE")) == 1
    assert audited.count(("grades", "UPDATE")) == 4


async def test_attendance_brought_twice_counts_once_and_is_not_overwritten_unasked(unit: Unit) -> None:
    first = await unit.brings(ATTENDANCE, "attendance")
    repeated = await unit.brings(ATTENDANCE, "attendance")
    again = await unit.brings(ATTENDANCE, "attendance", task_id="t2")

    assert counts(first) == counts(repeated) == (3, 0, 2, 0)
    assert counts(again) == (0, 0, 5, 0)
    assert (await unit.grades())["S-002"][0] == 3
    assert len(await unit.events()) == 2


IMPOSSIBLE_ATTENDANCE = [
    ("S-999,1,p,,", "student_id", "unknown"), ("S-001,9,p,,", "training_day_id", "unknown"),
    ("S-001,1,,,", "status", "required"), ("S-001,1,maybe,,", "status", "unknown_value"),
    ("S-001,1,p,25:00,", "time_in", "not_a_time"), ("S-001,1,p,9:00,8:59", "time_out", "out_of_range"),
    ("S-002,1,,,06:00", "time_out", "out_of_range"), ("S-001,,p,,", "training_day_id", "required"),
]  # fmt: skip


async def test_attendance_that_cannot_be_is_refused(unit: Unit) -> None:
    header = "student_id,training_day_id,status,time_in,time_out\n"
    for number, (line, field_name, code) in enumerate(IMPOSSIBLE_ATTENDANCE):
        more = {"task_id": f"a{number}", "merge_strategy": "update"}
        result = await unit.brings(f"{header}{line}\n", "attendance", **more)

        assert (counts(result), errors(result)) == ((0, 0, 0, 1), [(1, field_name, code)]), line


async def test_a_rehearsal_writes_nothing_but_its_report(unit: Unit) -> None:
    before = await unit.grades()

    for entity, text in {"cadets": NEW, "grades": "student_id,prelim\nS-001,90\n", "attendance": ATTENDANCE}.items():
        result = await unit.brings(text, entity, dry_run=True, task_id=entity)

        assert (result["dry_run"], result["created_count"] > 0, result["error_count"]) == (True, True, 0)
        assert len(unit.report(entity)) == result["total"] + 1
    assert (await unit.grades(), await unit.events(), await unit.audits()) == (before, [], [])
    assert await unit.rows("SELECT 1 FROM cadets WHERE id > 4") == []


IMPOSSIBLE_FILES: list[tuple[str | bytes, dict[str, Any], str]] = [
    ("name,company\nAna,Alpha\n", {}, "none is called student_id"), (b"%PDF-1.7", {}, "The file is a PDF"),
    (NEW, {"user_id": CADET}, "not allowed"), (NEW, {"user_id": NEWCOMER}, "not allowed"),
    (NEW, {"user_id": 99}, "not allowed"), (NEW, {"file": "no base64!"}, "neither base64"),
]  # fmt: skip


async def test_what_can_never_be_imported_is_final(unit: Unit) -> None:
    for text, more, said in IMPOSSIBLE_FILES:
        outcome = await unit.send(text, **more)

        assert isinstance(outcome, DeadLetter), outcome
        assert outcome.failure.kind == "permanent"
        assert said in outcome.failure.message
