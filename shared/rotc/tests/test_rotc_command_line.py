"""The command line, run as its own process: what a person reads, what a program reads, and the exit codes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


def rotc(*arguments: str, database_url: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    if database_url is not None:
        environment["DATABASE_URL"] = database_url
    command = [sys.executable, "-m", "rotc", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)  # noqa: S603 -- our own


@pytest.mark.postgres
def test_from_an_empty_database_to_a_checked_company(postgres: str) -> None:
    empty = rotc("check", database_url=postgres)
    made = rotc("migrate", database_url=postgres)
    again = rotc("migrate", "--database-url", postgres)
    demo = rotc("demo", "--cadets", "5", "--json", database_url=postgres)
    second = rotc("demo", "--cadets", "5", database_url=postgres)
    checked = rotc("check", "--json", database_url=postgres)

    assert empty.returncode == 1
    assert empty.stdout.startswith("0 of 19 tables are there.\n")
    assert made.stdout.splitlines()[0] == "applied 0001_people"
    assert again.stdout == "Nothing to do: the tables are up to date.\n"
    assert json.loads(demo.stdout)["rows"]["cadets"] == 5
    assert second.stdout.startswith("Already there, nothing changed:\n")
    assert json.loads(checked.stdout)["ok"] is True
    assert [run.returncode for run in (made, again, demo, second, checked)] == [0] * 5


@pytest.mark.postgres
def test_a_refusal_is_one_line_on_stderr_and_exit_code_2(postgres: str) -> None:
    refused = rotc("demo", database_url=postgres)

    assert refused.returncode == 2
    assert refused.stderr == "Error: The tables are missing: make them first by `python -m rotc migrate`.\n"
    assert refused.stdout == ""


def test_an_unusable_address_is_one_line_too() -> None:
    refused = rotc("check", database_url="sqlite:///db.sqlite3")

    assert refused.returncode == 2
    assert refused.stderr.startswith("Error: Cannot connect to the database of DATABASE_URL: invalid DSN")
    assert len(refused.stderr.splitlines()) == 1


def test_help_shows_an_example_of_each_command() -> None:
    for command in ("check", "migrate", "demo", "photos"):
        assert f"Example: python -m rotc {command}" in rotc(command, "--help").stdout


def test_portraits_are_written_to_a_folder(tmp_path: Path) -> None:
    written = rotc("photos", str(tmp_path / "new" / "photos"), "--count", "2")

    assert written.returncode == 0
    assert sorted(path.name for path in (tmp_path / "new" / "photos").iterdir()) == ["cadet_001.jpg", "cadet_002.jpg"]
