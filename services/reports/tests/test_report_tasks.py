"""The four tasks on a real database: what is stored, who is told, what is refused, what is left out again."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import pypdfium2
import pytest
from muster.adapters.clock import SystemClock
from muster.adapters.postgres import EffectStore, create_pool
from muster.testing import TaskHarness
from muster.worker.outcome import DeadLetter, Outcome, RetryAt, Succeed
from pydantic import SecretStr
from reports_service.resources import ReportsResources
from reports_service.settings import ReportsSettings
from reports_service.tasks import app
from rotc import issued_certificates
from rotc.certificates import normal_code
from rotc.connection import connected
from rotc.migrate import migrate
from rotc.storage import StorageUnavailable

KEY = "k" * 32
ADMIN, STAFF, CADET, NEWCOMER = 1, 2, 3, 4
NOW = datetime(2026, 1, 10, 17, 0, tzinfo=UTC)  # the 11th in Manila
ROWS = """
INSERT INTO users (id, username, email, password, role, is_approved, created_at) VALUES
    (1, 'a', 'a@x', '', 'admin', true, now()), (2, 's', 's@x', '', 'training_staff', true, now()),
    (3, 'c', 'c@x', '', 'cadet', true, now()), (4, 'n', 'n@x', '', 'admin', false, now());
INSERT INTO cadets (id, student_id, first_name, last_name, company, platoon, status, is_profile_completed, is_archived,
    created_at)
    SELECT n, 'S-' || n, 'Ana', 'Cruz <' || n || '>', CASE WHEN n < 3 THEN 'Alpha' ELSE 'Bravo' END, '1st Platoon',
        'Ongoing', false, n = 4, now() FROM generate_series(1, 4) n;
INSERT INTO training_days (id, date, title, created_at) VALUES
    (1, '2026-01-04', 'First day', now()), (2, '2026-01-11', 'Second day', now());
INSERT INTO attendance_records (training_day_id, cadet_id, status, created_at) VALUES
    (1, 1, 'present', now()), (1, 2, 'absent', now()), (2, 1, 'late', now()), (2, 2, 'excused', now()),
    (2, 3, 'present', now()), (2, 4, 'present', now());
INSERT INTO grades (cadet_id, attendance_present, merit_points, demerit_points, prelim_score, midterm_score,
    final_score) VALUES (1, 2, 0, 10, 80, 90, 100), (2, 0, 0, 0, 0, NULL, 0);
INSERT INTO activities (id, title, description, date, type, created_at)
    VALUES (1, 'Parade & <b>Wreath</b>', 'Led.', '2026-01-05', 'activity', now());
"""


@dataclass
class MemoryStorage:
    """A storage that remembers every call and fails when told to."""

    files: dict[str, bytes] = field(default_factory=dict)
    uploads: int = 0
    fail: Callable[[str], bool] = lambda public_id: False

    async def upload(self, data: bytes, public_id: str, resource_type: str) -> str:
        assert resource_type == "raw"
        if self.fail(public_id):
            raise StorageUnavailable("The storage asks us to slow down.", after=7)
        self.uploads += 1
        self.files[public_id] = data
        return f"https://res.example/unit/raw/upload/v1/{public_id}"

    async def destroy(self, public_id: str) -> bool:
        return self.files.pop(public_id, None) is not None


class NoWeb:
    async def fetch(self, url: str, *, max_bytes: int) -> bytes:
        raise AssertionError(f"{url} was fetched")


@dataclass
class Unit:
    """Cadets 1 to 4 (the last archived), two training days, an activity, and a worker's way of running the tasks."""

    harness: TaskHarness[ReportsResources]
    storage: MemoryStorage

    async def report(self, kind: str, user: int = ADMIN, task_id: str = "t1", **filters: Any) -> Outcome:
        parameters = {"report_type": kind, "filters": filters, "user_id": user}
        return await self.harness.run("generate_pdf_report", parameters, task_id=task_id)

    async def text(self, kind: str, **filters: Any) -> str:
        return text_of(self.storage.files[result_of(await self.report(kind, **filters))["public_id"]])

    async def notices(self) -> list[tuple[int, str, str]]:
        query = "SELECT user_id, type, message FROM notifications ORDER BY id"
        return [tuple(row) for row in await self.harness.resources.pool.fetch(query)]


def result_of(outcome: Outcome) -> dict[str, Any]:
    assert isinstance(outcome, Succeed), outcome
    result: dict[str, Any] = json.loads(outcome.result)
    return result


def refusal_of(outcome: Outcome) -> tuple[str, str]:
    assert isinstance(outcome, DeadLetter), outcome
    return outcome.failure.kind, outcome.failure.message


def text_of(data: bytes) -> str:
    document = pypdfium2.PdfDocument(data)
    try:
        return "\n".join(page.get_textpage().get_text_range() for page in document)
    finally:
        document.close()


@pytest.fixture
async def unit(postgres: str) -> AsyncIterator[Unit]:
    async with connected(postgres) as connection:
        await migrate(connection)
        await connection.execute(ROWS)
        await issued_certificates.ensure(connection)
    settings = ReportsSettings(
        database_url=SecretStr(postgres), cloudinary_cloud_name="unit", cloudinary_api_key="key",
        cloudinary_api_secret=SecretStr("s"), certificate_keys=SecretStr(KEY),
    )  # fmt: skip
    async with await create_pool(postgres) as pool:
        effects = EffectStore(pool)
        await effects.ensure()
        storage = MemoryStorage()
        resources = ReportsResources(pool, effects, storage, NoWeb(), settings, parallel=2, now=lambda: NOW)
        yield Unit(TaskHarness(app, resources, SystemClock()), storage)


async def test_a_grades_report_is_stored_and_its_requester_told(unit: Unit) -> None:
    result = result_of(await unit.report("grades", STAFF))

    assert result.pop("generated_at").startswith("2026-01-10T17:00:00")
    assert result == {
        "url": "https://res.example/unit/raw/upload/v1/rotc/reports/grades_t1.pdf",
        "public_id": "rotc/reports/grades_t1.pdf", "report_type": "grades", "pages": 1, "rows": 3,
    }  # fmt: skip
    [notice] = await unit.notices()
    assert notice == (STAFF, "report_complete", f"Your grades report is ready: {result['url']}")
    text = text_of(unit.storage.files[result["public_id"]])
    # 2 of 2 days: 30; 90 aptitude: 27; 270 of 300: 36; together 93, which is 1.50.
    assert "1 S-1 Cruz <1>, Ana 2 0 10 80 90 100 30.00 27.00 36.00 93.00 1.50 Passed" in text
    assert "2 S-2 Cruz <2>, Ana 0 0 0 0 – 0 0.00 30.00 0.00 30.00 5.00 Failed" in text
    assert "S-4" not in text, "archived"


async def test_a_report_that_is_run_again_is_not_made_and_told_again(unit: Unit) -> None:
    first = result_of(await unit.report("grades"))

    assert result_of(await unit.report("grades")) == first
    assert unit.storage.uploads == 1
    assert len(await unit.notices()) == 1
    assert await unit.harness.resources.pool.fetchval("SELECT count(*) FROM audit_logs WHERE table_name='reports'") == 1


@pytest.mark.parametrize(
    ("filters", "shown", "hidden"),
    [
        ({"company": "Bravo"}, "S-3", "S-1"),
        ({"search": "cruz <2"}, "S-2", "S-1"),
        ({"platoon": "1st Platoon", "company": "Alpha"}, "S-1", "S-3"),
    ],
)
async def test_filters_choose_cadets(unit: Unit, filters: dict[str, Any], shown: str, hidden: str) -> None:
    text = await unit.text("grades", **filters)

    assert shown in text
    assert hidden not in text


async def test_attendance_counts_days_and_cadets_within_the_dates(unit: Unit) -> None:
    text = await unit.text("attendance", date_from="2026-01-11", date_to="2026-01-11")

    assert "11 Jan 2026 Second day 1 1 1 0 3 66.7 %" in text
    assert "First day" not in text
    assert "1 S-1 Cruz <1>, Ana 0 1 0 0 1 100.0 %" in text


async def test_a_profile_has_the_computed_grade_and_each_day(unit: Unit) -> None:
    text = await unit.text("cadet_profile", cadet_id=1)

    for shown in ("Cruz <1>, Ana", "2 of 2 days present", "93.00", "1.50 (A)", "First day", "Late"):
        assert shown in text


async def test_a_certificate_can_be_proved_by_its_code(unit: Unit) -> None:
    text = await unit.text("certificate", activity_id=1, cadet_name="Peña, Ana")

    [code] = [code for word in text.split() if "-" in word and (code := normal_code(word))]
    async with unit.harness.resources.pool.acquire() as connection:
        found = await issued_certificates.find(connection, code, [KEY.encode()])
        foreign = await issued_certificates.find(connection, code, [b"x" * 32])
        await connection.execute("UPDATE muster.certificates SET cadet_name = 'Somebody Else'")
        forged = await issued_certificates.find(connection, code, [KEY.encode()])
    assert found is not None
    assert (found[0].cadet_name, found[0].activity_date) == ("Peña, Ana", date(2026, 1, 5))
    assert foreign is None
    assert forged is None


@pytest.mark.parametrize(
    ("kind", "filters", "why"),
    [
        ("cadet_profile", {"cadet_id": 99}, "No cadet has id 99."),
        ("grades", {"company": "Zulu"}, "No cadet matches these filters."),
        ("attendance", {"date_from": "2027-01-01"}, "No training day lies between these dates."),
        ("attendance", {"company": "Zulu"}, "No attendance is recorded for these filters."),
        ("certificate", {"activity_id": 9, "cadet_name": "Ana"}, "No activity has id 9."),
    ],
)
async def test_what_is_not_there_is_one_sentence_and_no_empty_pdf(
    unit: Unit, kind: str, filters: dict[str, Any], why: str
) -> None:
    assert refusal_of(await unit.report(kind, **filters)) == ("permanent", why)
    assert unit.storage.files == {}
    assert await unit.notices() == []


@pytest.mark.parametrize(("user", "submitter"), [(CADET, None), (NEWCOMER, None), (99, None), (ADMIN, CADET)])
async def test_only_approved_staff_gets_reports(unit: Unit, user: int, submitter: int | None) -> None:
    parameters = {"report_type": "grades", "filters": {}, "user_id": user}

    kind, why = refusal_of(await unit.harness.run("generate_pdf_report", parameters, submitter=submitter))

    assert kind == "permanent"
    assert why.startswith("not allowed")


async def test_a_busy_storage_means_later(unit: Unit) -> None:
    unit.storage.fail = lambda public_id: True

    outcome = await unit.report("grades")

    assert isinstance(outcome, RetryAt), outcome
    assert await unit.notices() == []


async def test_a_batch_of_profiles_makes_what_it_can_and_tells_once(unit: Unit) -> None:
    parameters = {"cadet_ids": [1, 99, 3], "user_id": ADMIN}

    result = result_of(await unit.harness.run("batch_generate_cadet_pdfs", parameters))
    again = result_of(await unit.harness.run("batch_generate_cadet_pdfs", parameters))

    assert again == result
    assert (result["total"], result["success_count"], result["error_count"]) == (3, 2, 1)
    assert result["errors"] == [{"index": 1, "error": "No cadet has id 99."}]
    assert [one["index"] for one in result["results"]] == [0, 2]
    assert unit.storage.uploads == 2
    assert await unit.notices() == [(ADMIN, "batch_pdf_complete", "2 of 3 cadet profiles are ready.")]
    assert unit.harness.progress[-1][1:] == (3, "cadet profiles")


async def test_a_batch_that_meets_an_outage_runs_again_for_what_is_missing(unit: Unit) -> None:
    parameters = {"activity_id": 1, "cadet_names": ["Ana", "Ben"], "user_id": STAFF}
    unit.storage.fail = lambda public_id: "name-1" in public_id
    first = await unit.harness.run("batch_generate_certificates", parameters)
    unit.storage.fail = lambda public_id: False

    result = result_of(await unit.harness.run("batch_generate_certificates", parameters, attempt=2))

    assert isinstance(first, RetryAt)
    assert result["success_count"] == unit.storage.uploads == 2
    assert [kind for _, kind, _ in await unit.notices()] == ["batch_certificate_complete"]


async def test_a_batch_of_nothing_but_failures_says_so(unit: Unit) -> None:
    parameters = {"activity_id": 7, "cadet_names": ["Ana"], "user_id": ADMIN}

    result = result_of(await unit.harness.run("batch_generate_certificates", parameters))

    assert result["error_count"] == 1
    assert await unit.notices() == [(ADMIN, "batch_certificate_failed", "0 of 1 certificates are ready.")]


async def test_the_daily_report_tells_every_admin_its_numbers_once_a_date(unit: Unit) -> None:
    result = result_of(await unit.harness.run("generate_daily_attendance_report", {}, task_id="d1"))
    again = result_of(await unit.harness.run("generate_daily_attendance_report", {"date": "2026-01-11"}, task_id="d2"))

    counts = {"id": 2, "title": "Second day", "total": 3, "present": 1, "absent": 0, "late": 1, "excused": 1}
    assert (result["date"], result["training_days"]) == ("2026-01-11", [counts]), "today in Manila"
    assert again["training_days"] == [counts]
    [(user, kind, message)] = await unit.notices()
    assert (user, kind) == (ADMIN, "daily_report")
    assert "Second day: 3 recorded, 1 present, 0 absent, 1 late, 1 excused." in message
    assert result["url"] in message


async def test_a_day_without_training_is_reported_as_such_to_nobody(unit: Unit) -> None:
    result = result_of(await unit.harness.run("generate_daily_attendance_report", {"date": "2026-01-05"}))

    assert result == {"date": "2026-01-05", "training_days": [], "url": None}
    assert await unit.notices() == []
