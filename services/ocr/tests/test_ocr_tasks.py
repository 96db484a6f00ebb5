"""The two tasks on a real database and a real Tesseract: what is read, what is written, who may."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import rotc.readings
from muster.adapters.clock import SystemClock
from muster.adapters.fetching import FetchFailed, FetchRefused
from muster.adapters.postgres import EffectStore, create_pool
from muster.testing import TaskHarness
from muster.worker.outcome import DeadLetter, Outcome, RetryAt, Succeed
from ocr_service.resources import OcrResources
from ocr_service.tasks import app
from ocr_service.tesseract import find_tesseract
from ocr_service.testing.files import docx, encoded, scanned, typed_pdf
from ocr_service.testing.letters import draw
from rotc.connection import connected
from rotc.migrate import migrate

FILE = "https://files.example/letter"
ADMIN, STAFF, OWNER, OTHER, UNAPPROVED = 1, 2, 3, 4, 5
ROWS = """
INSERT INTO cadets (id, student_id, first_name, last_name, status, is_profile_completed, is_archived, created_at)
    SELECT n, 'S-' || n, 'Ana', 'Cruz', 'Ongoing', false, false, now() FROM generate_series(1, 2) n;
INSERT INTO users (id, username, email, password, role, is_approved, cadet_id, created_at) VALUES
    (1, 'a', 'a@x', '', 'admin', true, null, now()), (2, 's', 's@x', '', 'training_staff', true, null, now()),
    (3, 'c', 'c@x', '', 'cadet', true, 1, now()), (4, 'd', 'd@x', '', 'cadet', true, 2, now()),
    (5, 'e', 'e@x', '', 'admin', false, null, now());
INSERT INTO excuse_letters (id, cadet_id, date_absent, reason, status, created_at, file_url)
    SELECT n, 1, '2026-01-05', 'ill', 'pending', now(), 'https://files.example/letter' FROM generate_series(1, 2) n;
"""
LETTER = "SELECT ocr_text, ocr_confidence, ocr_processed_at FROM excuse_letters WHERE id = 1"
SAID = "Dear Sir:\n\nI was in the district hospital\nwith a fever on 10 October 2026."


@dataclass
class Web:
    """Files by their address; an exception is raised."""

    files: dict[str, bytes | Exception] = field(default_factory=dict)
    asked: int = 0

    async def fetch(self, url: str, *, max_bytes: int) -> bytes:
        self.asked += 1
        found = self.files[url]
        if isinstance(found, Exception):
            raise found
        return found


@dataclass
class Unit:
    """Two cadets, letters 1 and 2 of the first, five users, and a worker's way of running the tasks on them."""

    harness: TaskHarness[OcrResources]
    web: Web

    async def process(self, data: bytes | Exception, task_id: str = "t1", **more: Any) -> Outcome:
        self.web.files[FILE] = data
        submitter = more.pop("submitter", None)
        parameters = {"file_url": FILE, **more}
        return await self.harness.run("process_ocr_document", parameters, task_id=task_id, submitter=submitter)

    async def batch(self, *documents: Any, attempt: int = 1) -> Outcome:
        return await self.harness.run("batch_process_ocr", {"file_urls_and_ids": list(documents)}, attempt=attempt)

    async def rows(self, query: str) -> list[dict[str, Any]]:
        return [dict(row) for row in await self.harness.resources.pool.fetch(query)]

    async def letter(self) -> dict[str, Any]:
        return (await self.rows(LETTER))[0]

    async def count(self, table: str) -> int:
        return int((await self.rows(f"SELECT count(*) AS n FROM {table}"))[0]["n"])  # noqa: S608  the tests' own words


def result_of(outcome: Outcome) -> dict[str, Any]:
    assert isinstance(outcome, Succeed), outcome
    result: dict[str, Any] = json.loads(outcome.result)
    return result


def refusal_of(outcome: Outcome) -> tuple[str, str]:
    assert isinstance(outcome, DeadLetter), outcome
    return outcome.failure.kind, outcome.failure.message


@pytest.fixture
async def unit(postgres: str) -> AsyncIterator[Unit]:
    async with connected(postgres) as connection:
        await migrate(connection)
        await connection.execute(ROWS)
        await rotc.readings.ensure_table(connection)
    async with await create_pool(postgres) as pool:
        effects, web = EffectStore(pool), Web()
        await effects.ensure()
        tesseract = await asyncio.to_thread(find_tesseract, "", "", 120.0)
        resources = OcrResources(pool, effects, web, tesseract, cache_days=1, parallel=2)
        yield Unit(TaskHarness(app, resources, SystemClock()), web)


async def test_a_scanned_letter_is_read_and_written_down_with_its_audit_row(unit: Unit) -> None:
    result = result_of(await unit.process(encoded(draw(SAID, 24)), excuse_letter_id=1, submitter=STAFF))

    assert result["text"].split() == SAID.split()
    assert result["word_count"] == len(SAID.split())
    assert result["confidence"] > 80
    assert result["pages"] == [{"number": 1, "confidence": result["confidence"], "source": "ocr"}]
    letter = await unit.letter()
    assert (letter["ocr_text"], letter["ocr_confidence"]) == (result["text"], result["confidence"])
    assert letter["ocr_processed_at"] is not None
    [audit] = await unit.rows(
        "SELECT operation, record_id, user_id FROM audit_logs WHERE table_name = 'excuse_letters'"
    )
    assert audit == {"operation": "UPDATE", "record_id": 1, "user_id": STAFF}
    assert await unit.count("notifications") == 0


async def test_a_missing_language_is_left_out_and_said(unit: Unit) -> None:
    resources = unit.harness.resources
    unit.harness.resources = replace(resources, tesseract=replace(resources.tesseract, languages=frozenset({"eng"})))

    scan = result_of(await unit.process(encoded(draw(SAID, 24)), language="eng+fil"))
    typed = result_of(await unit.process(typed_pdf([SAID])))

    assert (scan["language"], scan["warnings"]) == (
        "eng",
        ["There is no language data for fil here: pictures are read with eng."],
    )
    assert typed["warnings"] == [], "no language was needed"


async def test_without_any_usable_language_the_task_ends_with_a_sentence(unit: Unit) -> None:
    resources = unit.harness.resources
    unit.harness.resources = replace(resources, tesseract=replace(resources.tesseract, languages=frozenset({"deu"})))

    kind, message = refusal_of(await unit.process(encoded(draw(SAID, 24))))

    assert (kind, message[:38]) == ("permanent", "Tesseract has no data for eng+fil here")


async def test_a_pdfs_own_text_is_taken_and_a_scanned_page_between_is_read(unit: Unit) -> None:
    typed = result_of(await unit.process(typed_pdf([SAID, "Second page.\nPena (and sons)"])))
    tiff = result_of(await unit.process(scanned([draw(SAID, 24), draw("Page two", 24)], "TIFF")))
    word = result_of(await unit.process(docx("Dear Sir:\n\nI was <ill> & away.")))

    assert typed["text"].split() == [*SAID.split(), "Second", "page.", "Pena", "(and", "sons)"]
    assert [(page["source"], page["confidence"]) for page in typed["pages"]] == [("text", 100), ("text", 100)]
    assert tiff["text"].split() == [*SAID.split(), "Page", "two"]
    assert [page["source"] for page in tiff["pages"]] == ["ocr", "ocr"]
    assert (word["text"], word["confidence"]) == ("Dear Sir:\n\nI was <ill> & away.", 100)


async def test_progress_is_told_page_by_page(unit: Unit) -> None:
    result_of(await unit.process(typed_pdf([SAID] * 3)))

    assert [(done, total) for done, total, _ in unit.harness.progress] == [(1, 3), (2, 3), (3, 3)]


async def test_the_same_bytes_are_read_once_but_written_to_every_letter(unit: Unit) -> None:
    first = result_of(await unit.process(typed_pdf([SAID]), "t1", excuse_letter_id=1))
    second = result_of(await unit.process(typed_pdf([SAID]), "t2", excuse_letter_id=2))
    third = result_of(await unit.process(typed_pdf([SAID]), "t3", language="deu"))

    assert [result["cached"] for result in (first, second, third)] == [False, True, False]
    assert (first["text"], first["pages"]) == (second["text"], second["pages"])
    [row] = await unit.rows("SELECT count(DISTINCT ocr_text) AS texts, count(ocr_text) AS letters FROM excuse_letters")
    assert row == {"texts": 1, "letters": 2}


async def test_an_old_reading_is_forgotten(unit: Unit) -> None:
    result_of(await unit.process(typed_pdf(["One"]), "t1"))
    await unit.harness.resources.pool.execute("UPDATE muster.ocr_readings SET read_at = now() - interval '25 hours'")

    result_of(await unit.process(typed_pdf(["Two"]), "t2"))

    assert await unit.count("muster.ocr_readings") == 1
    assert result_of(await unit.process(typed_pdf(["One"]), "t3"))["cached"] is False


async def test_a_repeated_run_writes_nothing_and_fetches_nothing(unit: Unit) -> None:
    first = result_of(await unit.process(typed_pdf([SAID]), excuse_letter_id=1))
    await unit.harness.resources.pool.execute("UPDATE excuse_letters SET ocr_text = 'corrected by hand' WHERE id = 1")

    again = result_of(await unit.process(FetchFailed("gone"), excuse_letter_id=1))

    assert again == first
    assert unit.web.asked == 1
    assert (await unit.letter())["ocr_text"] == "corrected by hand"
    assert await unit.count("audit_logs") == 1


async def test_an_unreadable_letter_is_shown_to_every_approved_admin_once(unit: Unit) -> None:
    empty = encoded(draw("", 24))

    for task_id in ("t1", "t1", "t2"):
        assert result_of(await unit.process(empty, task_id, excuse_letter_id=1))["confidence"] == 0

    [row] = await unit.rows("SELECT user_id, type, message, is_read FROM notifications")
    assert (row["user_id"], row["type"], row["is_read"]) == (ADMIN, "ocr_low_confidence", False)
    assert row["message"] == "Excuse letter 1 could hardly be read (confidence 0 of 100): please look at it."


@pytest.mark.parametrize(
    ("submitter", "more", "refusal"),
    [
        (ADMIN, {}, None),
        (STAFF, {"excuse_letter_id": 1}, None),
        (OWNER, {"excuse_letter_id": 1}, None),
        (OTHER, {"excuse_letter_id": 1}, "Cadets may have only their own excuse letters read."),
        (OWNER, {}, "Cadets may have only their own excuse letters read."),
        (UNAPPROVED, {}, "Your account has not been approved."),
        (99, {}, "No user has id 99."),
    ],
)
async def test_who_may_have_what_read(unit: Unit, submitter: int, more: dict[str, Any], refusal: str | None) -> None:
    outcome = await unit.process(typed_pdf([SAID]), submitter=submitter, **more)

    if refusal is None:
        assert result_of(outcome)["word_count"] > 0
    else:
        assert refusal_of(outcome) == ("permanent", refusal)
        assert unit.web.asked == 0


async def test_a_cadet_cannot_put_another_file_behind_the_own_letter(unit: Unit) -> None:
    outcome = await unit.process(typed_pdf([SAID]), submitter=OWNER, excuse_letter_id=1, file_url=FILE + "2")

    assert refusal_of(outcome) == ("permanent", "This is not the file of the excuse letter.")


async def test_an_unknown_letter_is_told_before_anything_is_fetched(unit: Unit) -> None:
    assert refusal_of(await unit.process(b"", excuse_letter_id=99)) == ("permanent", "No excuse letter has id 99.")
    assert unit.web.asked == 0


async def test_a_database_without_the_columns_is_told_what_to_run(unit: Unit) -> None:
    await unit.harness.resources.pool.execute("ALTER TABLE excuse_letters DROP COLUMN ocr_confidence")

    kind, message = refusal_of(await unit.process(typed_pdf([SAID]), excuse_letter_id=1))

    assert kind == "permanent"
    assert "muster-db migrate --add-ocr-columns" in message


async def test_a_source_that_fails_for_now_is_tried_again(unit: Unit) -> None:
    assert isinstance(await unit.process(FetchFailed("busy")), RetryAt)
    assert refusal_of(await unit.process(FetchRefused("404"))) == ("permanent", "404")


async def test_a_batch_has_one_outcome_for_each_document(unit: Unit) -> None:
    unit.web.files |= {"a": typed_pdf(["One"]), "b": b"<html>", "c": typed_pdf(["Three"])}

    result = result_of(await unit.batch(["a", 1], ["b", None], {"file_url": "c"}, {"file_url": "a"}))

    assert (result["total"], result["success_count"], result["error_count"]) == (4, 3, 1)
    told = [(entry["index"], entry["excuse_letter_id"], entry["text"]) for entry in result["results"]]
    assert told == [(0, 1, "One"), (2, None, "Three"), (3, None, "One")]
    [error] = result["errors"]
    assert error["index"] == 1
    assert error["error"].startswith("The address leads to a web page")
    assert (await unit.letter())["ocr_text"] == "One"


async def test_a_batch_that_meets_an_outage_runs_again_for_what_is_missing(unit: Unit) -> None:
    unit.web.files |= {"a": typed_pdf(["One"]), "b": FetchFailed("busy")}

    assert isinstance(await unit.batch(["a", 1], ["b", 2]), RetryAt)
    assert (await unit.letter())["ocr_text"] == "One"
    last = result_of(await unit.batch(["a", 1], ["b", 2], attempt=4))

    assert (last["success_count"], last["errors"][0]["error"]) == (1, "busy")
    assert unit.web.asked == 3, "the first letter was written already"


async def test_long_texts_are_cut_in_a_batch_but_whole_in_the_letter(unit: Unit) -> None:
    long = "\n".join(f"line {number} " + "word " * 12 for number in range(900))
    unit.web.files |= {str(n): docx(long + str(n)) for n in range(20)}

    result = result_of(await unit.batch(["0", 1], *([str(n), None] for n in range(1, 20))))

    assert all(entry["truncated"] and len(entry["text"]) == 20_000 for entry in result["results"])
    assert len((await unit.letter())["ocr_text"]) > 50_000
