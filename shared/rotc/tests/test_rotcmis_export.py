"""The invented ROTCMIS export: as large as wanted, in both key styles, always the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rotc.cli import app
from rotc.demo import rotcmis
from rotc.demo.rotcmis import FIELDS, camel, export, export_text
from typer.testing import CliRunner


def test_a_seed_gives_the_same_cadets_each_with_an_id_of_its_own() -> None:
    rows = list(export(7, 1000))

    assert rows == list(export(7, 1000))
    assert rows != list(export(8, 1000))
    assert len({row["student_id"] for row in rows}) == 1000
    assert {name for row in rows for name in row} == set(FIELDS)


def test_both_key_styles_hold_the_same_values() -> None:
    for snake, other in zip(export(1, 20), export(1, 20, camel_case=True), strict=True):
        assert other == {camel(name): value for name, value in snake.items()}
    assert camel("combat_boots_size") == "combatBootsSize"


def test_the_file_is_json_with_the_rows_as_records() -> None:
    assert json.loads(export_text(1, 3))["records"] == list(export(1, 3))


def test_the_command_writes_the_file(tmp_path: Path) -> None:
    written = CliRunner().invoke(app, ["rotcmis", str(tmp_path / "a.json"), "--cadets", "3", "--camel-case"])

    assert written.output == f"3 cadets in {tmp_path / 'a.json'}\n"
    assert (tmp_path / "a.json").read_text(encoding="utf-8") == export_text(1, 3, camel_case=True)


def test_more_cadets_than_are_drawn_at_once_have_different_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rotcmis, "DRAWN", 50)

    assert len({row["student_id"] for row in export(1, 1030)}) == 1030
