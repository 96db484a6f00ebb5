"""A workbook sent to the API is in the tables, its report in the storage, and nobody's name in a log."""

from __future__ import annotations

import io
import json
from datetime import date
from typing import Any

import httpx
import openpyxl
import pytest

from .api import Api, Body, wait_until
from .system import System

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.e2e]
#: Names that nothing else here has.
GIVEN, FAMILY = "Xochiquetzal", "Quetzalcoatl"


def workbook(*rows: list[Any]) -> bytes:
    made = openpyxl.Workbook()
    assert made.active is not None
    for row in rows:
        made.active.append(row)
    file = io.BytesIO()
    made.save(file)
    return file.getvalue()


def imported(api: Api, file: bytes, **fields: str) -> Body:
    """The status of the import once it is over."""
    answer = api.client.post("/import/csv", files={"file": ("a table", file)}, data=fields)
    assert answer.status_code == httpx.codes.ACCEPTED, answer.text
    path = f"/import/status/{answer.json()['task_id']}"
    wait_until(lambda: api.client.get(path).json()["status"] != "processing", "the import is over")
    body: Body = api.client.get(path).json()
    return body


def test_a_file_is_imported_reported_and_never_logged(system: System, api: Api) -> None:
    worker = system.importer().start()
    api.knows("import_csv")
    header = ["Student ID", "First Name", "Surname", "Birthdate", "Year Level"]
    file = workbook(header, [20990001, GIVEN, FAMILY, date(2005, 3, 31), 2], [20990002, GIVEN, FAMILY, None, 9])

    cadets = imported(api, file)
    grades = imported(api, b"student_id;prelim\n20990001;91\n", entity_type="grades")
    refused = imported(api, f"first_name\n{GIVEN}\n".encode())

    assert (cadets["status"], cadets["created_count"], cadets["error_count"]) == ("completed", 1, 1)
    [error] = cadets["errors"]
    assert (error["row"], error["field"], error["code"]) == (2, "year_level", "out_of_range")
    report = httpx.get(cadets["report_url"], trust_env=False).text
    assert [line.split(",")[:2] for line in report.splitlines()[1:]] == [["1", "created"], ["2", "refused"]]
    assert grades["status"] == "completed"
    query = """SELECT c.last_name || ' ' || c.birthdate || ' ' || g.prelim_score FROM cadets c
        JOIN grades g ON g.cadet_id = c.id WHERE c.student_id = '20990001'"""
    assert system.query(query) == f"{FAMILY} 2005-03-31 91"
    assert refused["status"] == "failed"
    assert "none is called student_id" in refused["error"]
    told = report + json.dumps([cadets, grades, refused])
    logs = "".join(program.part.log.read_text() for program in system.programs)
    assert worker.alive
    assert GIVEN not in told + logs
    assert FAMILY not in told + logs
