"""Cadets imported on a real database: what is created, changed, skipped, refused, audited and told, once."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from import_service.resources import ImportResources
from import_service.tasks import app
from muster.adapters.clock import SystemClock
from muster.adapters.postgres import EffectStore, create_pool
from muster.testing import TaskHarness
from muster.worker.outcome import DeadLetter, Outcome, Succeed
from rotc.connection import connected
from rotc.demo.rotcmis import export_text
from rotc.migrate import migrate

ADMIN, STAFF, CADET, NEWCOMER = 1, 2, 3, 4
ROWS = """
INSERT INTO users (id, username, email, password, role, is_approved, created_at) VALUES
    (1, 'a', 'a@x', '', 'admin', true, now()), (2, 's', 's@x', '', 'training_staff', true, now()),
    (3, 'c', 'c@x', '', 'cadet', true, now()), (4, 'n', 'n@x', '', 'admin', false, now());
"""


class Nothing:
    """A storage of reports nobody reads here, and a web that nobody may use."""

    async def upload(self, data: bytes, public_id: str, resource_type: str) -> str:
        return f"https://res.example/{public_id}"

    async def destroy(self, public_id: str) -> bool:
        raise AssertionError(f"{public_id} was destroyed")

    async def fetch(self, url: str, *, max_bytes: int) -> bytes:
        raise AssertionError(f"{url} was fetched")


@dataclass
class Unit:
    """An empty unit with four users, and a worker's way of running the tasks."""

    harness: TaskHarness[ImportResources]

    async def run(self, task_type: str, parameters: dict[str, Any], *, task_id: str = "t1", **more: Any) -> Outcome:
        return await self.harness.run(task_type, parameters, task_id=task_id, **more)

    async def brings(self, rows: Any, *, task_id: str = "t1", **parameters: Any) -> dict[str, Any]:
        """The result of an import."""
        given = {"json_data": rows, "user_id": ADMIN, **parameters}
        return result_of(await self.run("import_rotcmis_data", given, task_id=task_id))

    async def changes(self, updates: list[Any], *, task_id: str = "t9", user_id: int = ADMIN) -> dict[str, Any]:
        given = {"updates_data": updates, "user_id": user_id}
        return result_of(await self.run("bulk_update_cadets", given, task_id=task_id))

    async def rows(self, query: str) -> list[dict[str, Any]]:
        return [dict(row) for row in await self.harness.resources.pool.fetch(query)]

    async def cadet(self, student_id: str) -> dict[str, Any]:
        row = await self.harness.resources.pool.fetchrow("SELECT * FROM cadets WHERE student_id = $1", student_id)
        assert row is not None
        return dict(row)

    async def count(self, table: str) -> int:
        count: int = await self.harness.resources.pool.fetchval(f"SELECT count(*) FROM {table}")  # noqa: S608
        return count


def result_of(outcome: Outcome) -> dict[str, Any]:
    assert isinstance(outcome, Succeed), outcome
    result: dict[str, Any] = json.loads(outcome.result)
    return result


def refusal_of(outcome: Outcome) -> tuple[str, str]:
    assert isinstance(outcome, DeadLetter), outcome
    return outcome.failure.kind, outcome.failure.message


def person(number: int, **more: Any) -> dict[str, Any]:
    return {"student_id": f"2026-{number:04d}", "first_name": f"Ana {number}", "last_name": "Peña", **more}


@pytest.fixture
async def unit(postgres: str) -> AsyncIterator[Unit]:
    async with connected(postgres) as connection:
        await migrate(connection)
        await connection.execute(ROWS)
    async with await create_pool(postgres) as pool:
        effects = EffectStore(pool)
        await effects.ensure()
        resources = ImportResources(pool, effects, Nothing(), Nothing())
        yield Unit(TaskHarness(app, resources, SystemClock()))


async def test_new_cadets_come_with_grades_audit_rows_of_the_person_and_one_notice(unit: Unit) -> None:
    result = await unit.brings([person(1, company="Alpha", year_level=1), person(2)])

    assert {name: result[name] for name in ("total", "created_count", "success_count", "error_count")} == {
        "total": 2, "created_count": 2, "success_count": 2, "error_count": 0,
    }  # fmt: skip
    cadet = await unit.cadet("2026-0001")
    assert result["created_ids"][0] == cadet["id"]
    assert (cadet["last_name"], cadet["company"], cadet["year_level"], cadet["status"]) == (
        "Peña",
        "Alpha",
        1,
        "Ongoing",
    )
    assert await unit.count("grades") == 2
    audited = await unit.rows(
        "SELECT table_name, operation, user_id, count(*) FROM audit_logs GROUP BY 1, 2, 3 ORDER BY 1, 2"
    )
    assert [tuple(row.values()) for row in audited] == [
        ("cadets", "CREATE", ADMIN, 2), ("grades", "CREATE", ADMIN, 2), ("imports", "CREATE", ADMIN, 1),
    ]  # fmt: skip
    [notice] = await unit.rows("SELECT user_id, type, message FROM notifications")
    assert (notice["user_id"], notice["type"]) == (ADMIN, "import_complete")
    assert notice["message"].startswith("Import of cadets: 2 rows, 2 created, 0 updated")


async def test_a_second_import_of_the_same_rows_skips_them_and_writes_no_audit_row(unit: Unit) -> None:
    rows = [person(number) for number in range(1, 31)]
    await unit.brings(rows)
    before = await unit.count("audit_logs")

    result = await unit.brings(rows, task_id="t2")

    assert (result["created_count"], result["skipped_count"]) == (0, 30)
    assert result["warnings"] == ["30 rows are of records that exist already: they stayed as they are."]
    assert await unit.count("audit_logs") == before + 1  # the import itself


async def test_the_same_task_run_again_changes_nothing_and_gives_the_same_result(unit: Unit) -> None:
    first = await unit.brings([person(1)])
    await unit.harness.resources.pool.execute("UPDATE cadets SET first_name = 'Changed since'")

    assert await unit.brings([person(1)], merge_strategy="update") == first
    assert (await unit.cadet("2026-0001"))["first_name"] == "Changed since"
    assert await unit.count("notifications") == 1


async def test_an_update_touches_only_the_keys_that_are_given(unit: Unit) -> None:
    await unit.brings([person(1, status="Completed", company="Alpha", email="a@b.c"), person(2)])

    result = await unit.brings(
        [{"studentId": "2026-0001", "company": "Bravo", "email": None, "course": " "}, person(2)],
        task_id="t2", merge_strategy="update",
    )  # fmt: skip

    cadet = await unit.cadet("2026-0001")
    assert (result["updated_count"], result["skipped_count"], result["updated_ids"]) == (1, 1, [cadet["id"]])
    assert (cadet["company"], cadet["status"], cadet["first_name"], cadet["email"], cadet["course"]) == (
        "Bravo", "Completed", "Ana 1", "a@b.c", None,
    )  # fmt: skip
    [audited] = await unit.rows("SELECT * FROM audit_logs WHERE operation = 'UPDATE'")
    assert (audited["record_id"], audited["user_id"], audited["payload"]["company"]) == (cadet["id"], ADMIN, "Bravo")


async def test_both_signatures_all_forms_and_both_key_styles_mean_the_same(unit: Unit) -> None:
    camel = {
        "studentId": "2026-0001",
        "firstName": "Ana",
        "lastName": "Peña",
        "yearLevel": "2nd Year",
        "bloodType": "O+",
    }
    forms: list[Any] = [
        [camel],
        {"records": [camel]},
        {"data": [camel]},
        json.dumps([camel]),
        json.dumps({"data": [camel]}),
    ]
    for number, form in enumerate(forms):
        given = {"data" if number % 2 else "json_data": form, "user_id": STAFF, "dry_run": True}
        result = result_of(await unit.run("import_rotcmis_data", given, task_id=f"dry-{number}"))
        assert (result["created_count"], result["errors"]) == (1, []), form

    await unit.brings([camel])
    cadet = await unit.cadet("2026-0001")
    assert (cadet["year_level"], cadet["blood_type"]) == (2, "O+")


async def test_a_dry_run_says_what_would_happen_and_writes_nothing(unit: Unit) -> None:
    await unit.brings([person(1)])
    before = [
        await unit.count(table) for table in ("cadets", "grades", "audit_logs", "notifications", "muster.effects")
    ]

    result = await unit.brings(
        [person(1, company="Bravo"), person(2), person(2)], task_id="t2", merge_strategy="update", dry_run=True
    )

    assert (result["created_count"], result["updated_count"], result["error_count"]) == (1, 1, 1)
    after = [await unit.count(table) for table in ("cadets", "grades", "audit_logs", "notifications", "muster.effects")]
    assert after == before


async def test_refused_rows_are_named_by_row_field_and_reason_and_the_others_go_in(unit: Unit) -> None:
    rows = [
        person(1, id=777, is_archived=True),
        person(2, first_name=["a"], year_level=9, birthdate="31.12.2005"),
        person(3, company="x" * 51, email="nobody"),
        person(4),
        person(4, company="Bravo"),
        {"student_id": "2026-0006"},
        "no object",
        person(8, status="Winner"),
        person(9, last_name="Robert'); DROP TABLE cadets;--"),
    ]

    result = await unit.brings(rows)

    assert (result["total"], result["created_count"], result["error_count"]) == (9, 2, 7)
    assert [(error["row"], error["field"], error["code"]) for error in result["errors"]] == [
        (1, "id", "not_allowed"), (1, "is_archived", "not_allowed"),
        (2, "birthdate", "not_a_date"), (2, "first_name", "wrong_type"), (2, "year_level", "out_of_range"),
        (3, "company", "too_long"), (3, "email", "not_an_email"),
        (5, "student_id", "duplicate"),
        (6, "first_name", "required"), (6, "last_name", "required"),
        (7, "(row)", "not_an_object"),
        (8, "status", "unknown_value"),
    ]  # fmt: skip
    assert (await unit.cadet("2026-0009"))["last_name"] == "Robert'); DROP TABLE cadets;--"
    assert "Robert" not in json.dumps(result) + str(await unit.rows("SELECT message FROM notifications"))


async def test_the_strategy_error_refuses_cadets_who_exist(unit: Unit) -> None:
    await unit.brings([person(1)])

    result = await unit.brings([person(1), person(2)], task_id="t2", merge_strategy="error")

    assert (result["created_count"], result["error_count"], result["errors"][0]["code"]) == (1, 1, "exists")


async def test_five_thousand_broken_rows_are_counted_and_a_thousand_listed(unit: Unit) -> None:
    result = await unit.brings([person(number, age="old") for number in range(5000)])

    assert (result["total"], result["error_count"], result["problem_count"]) == (5000, 5000, 5000)
    assert [error["row"] for error in result["errors"]] == list(range(1, 1001))
    [notice] = await unit.rows("SELECT type FROM notifications")
    assert notice["type"] == "import_failed"


@pytest.mark.parametrize("who", [CADET, NEWCOMER, 99])
async def test_only_approved_staff_may_import_or_change(unit: Unit, who: int) -> None:
    for task_type, given in (("import_rotcmis_data", "json_data"), ("bulk_update_cadets", "updates_data")):
        for user_id, submitter in ((who, None), (ADMIN, who)):
            outcome = await unit.run(task_type, {given: [person(1)], "user_id": user_id}, submitter=submitter)
            kind, message = refusal_of(outcome)
            assert kind == "permanent"
            assert message.startswith("not allowed: ")
    assert await unit.count("cadets") == 0


@pytest.mark.parametrize("nothing", [[], "[]", "not JSON", '"text"', '{"rows": []}', '[{"a": 1}'])
async def test_what_holds_no_rows_is_refused_at_once(unit: Unit, nothing: Any) -> None:
    for run in ("t1", "t2"):
        kind, _ = refusal_of(
            await unit.run("import_rotcmis_data", {"json_data": nothing, "user_id": ADMIN}, task_id=run)
        )
        assert kind == "permanent"
    await unit.run("import_rotcmis_data", {"json_data": nothing, "user_id": ADMIN})  # again, as after a lost worker

    told = await unit.rows("SELECT type, message FROM notifications")
    assert [row["type"] for row in told] == ["import_failed"] * 2
    assert told[0]["message"].startswith("Import of cadets failed: ")


async def test_a_task_that_failed_may_be_sent_again_with_rows_that_can_be_read(unit: Unit) -> None:
    await unit.run("import_rotcmis_data", {"json_data": "[", "user_id": ADMIN})

    assert (await unit.brings([person(1)]))["created_count"] == 1


async def test_rows_may_come_as_a_file_in_base64(unit: Unit) -> None:
    text = json.dumps([person(1), person(2)]).encode()

    result = await unit.brings(base64.b64encode(b"\xef\xbb\xbf" + text).decode())

    assert result["created_count"] == 2


async def test_a_bulk_update_sets_whitelisted_fields_of_cadets_who_exist(unit: Unit) -> None:
    ids = (await unit.brings([person(1, company="Alpha", email="a@b.c"), person(2), person(3)]))["created_ids"]

    result = await unit.changes(
        [
            {"cadet_id": ids[0], "company": "Bravo", "email": None},
            {"cadet_id": ids[1], "first_name": "Ana 2"},
            {"cadet_id": ids[2], "id": 777, "student_id": "CLONE", "is_archived": True, "rank": "x"},
            {"cadet_id": 999_999, "company": "Bravo"},
            {"cadet_id": ids[0], "company": "Delta"},
            {"company": "Bravo"},
            {"cadet_id": ids[2], "last_name": None},
        ]
    )

    assert (result["total"], result["updated_count"], result["unchanged_count"], result["error_count"]) == (7, 1, 1, 5)
    assert [(error["row"], error["field"], error["code"]) for error in result["errors"]] == [
        (3, "id", "not_allowed"), (3, "is_archived", "not_allowed"), (3, "rank", "unknown_field"),
        (3, "student_id", "not_allowed"), (4, "cadet_id", "unknown"), (5, "cadet_id", "duplicate"),
        (6, "cadet_id", "required"), (7, "last_name", "required"),
    ]  # fmt: skip
    cadet = await unit.cadet("2026-0001")
    assert (cadet["company"], cadet["email"], cadet["last_name"]) == ("Bravo", None, "Peña")
    assert await unit.count("cadets") == 3
    audited = await unit.rows("SELECT record_id FROM audit_logs WHERE operation = 'UPDATE'")
    assert audited == [{"record_id": cadet["id"]}]
    assert (await unit.rows("SELECT type FROM notifications ORDER BY id"))[-1] == {"type": "bulk_update_complete"}


async def test_progress_is_told_in_rows(unit: Unit) -> None:
    await unit.brings([person(number) for number in range(2500)])

    assert [step for step in unit.harness.progress if step[2] == "checking rows"] == [
        (1000, 2500, "checking rows"), (2000, 2500, "checking rows"), (2500, 2500, "checking rows"),
    ]  # fmt: skip


async def test_a_redis_that_is_away_is_a_warning_and_the_import_stands(unit: Unit) -> None:
    away = replace(unit.harness.resources, redis_url="unix:///nowhere")
    unit.harness.resources = away

    result = await unit.brings([person(1)])

    assert result["created_count"] == 1
    [warning] = result["warnings"]
    assert "could not be dropped" in warning
    assert await unit.count("cadets") == 1


async def test_the_sample_of_a_thousand_cadets_is_created_once_in_whichever_style_it_comes(unit: Unit) -> None:
    created = await unit.brings(export_text(1, 1000))
    again = await unit.brings(export_text(1, 1000, camel_case=True), task_id="t2")
    updated = await unit.brings(export_text(1, 1000, camel_case=True), task_id="t3", merge_strategy="update")

    assert (created["created_count"], again["skipped_count"], updated["skipped_count"]) == (1000, 1000, 1000)
    assert [result["errors"] for result in (created, again, updated)] == [[], [], []]
    assert len(created["created_ids"]) == 1000
    assert created["created_ids"] == sorted(created["created_ids"])  # in the order of the file
    assert await unit.count("grades") == 1000
