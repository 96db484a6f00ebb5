"""What may be typed as a task's parameters."""

from __future__ import annotations

from pathlib import Path

import pytest
from muster.cli.parameters import BadParameter, parse_instant, parse_parameters


def test_text_json_and_files_stand_side_by_side(tmp_path: Path) -> None:
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(b"\xff\xd8")
    typed = ["entity_type=profile_pic", "entity_id:=7", "max_size:=[800, 600]", f"image_data@{photo}"]
    assert parse_parameters(typed) == {
        "entity_type": "profile_pic",
        "entity_id": 7,
        "max_size": [800, 600],
        "image_data": "/9g=",
    }


@pytest.mark.parametrize(
    ("typed", "value"),
    [("a=", ""), ("a=b=c", "b=c"), ("a=x@y", "x@y"), ("a=:=1", ":=1"), ("a:=null", None), ('a:="x@y"', "x@y")],
)
def test_the_first_sign_decides(typed: str, value: object) -> None:
    assert parse_parameters([typed]) == {"a": value}


def test_typed_parameters_win_over_the_document(tmp_path: Path) -> None:
    document = tmp_path / "parameters.json"
    document.write_text('{"a": 1, "b": 2}')
    assert parse_parameters(["b:=3"], str(document)) == {"a": 1, "b": 3}


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("alone", "write KEY=TEXT, KEY:=JSON or KEY@FILE"),
        ("=value", "is no parameter"),
        ("a:=[1", "is not followed by JSON"),
        ("a@/no/such/file", "/no/such/file cannot be read: No such file or directory"),
    ],
)
def test_what_is_no_parameter_says_how_to_write_one(typed: str, sentence: str) -> None:
    with pytest.raises(BadParameter, match=sentence):
        parse_parameters([typed])


@pytest.mark.parametrize(("content", "sentence"), [("[1]", "one JSON object"), ("{", "is not JSON")])
def test_a_document_must_be_one_object(tmp_path: Path, content: str, sentence: str) -> None:
    document = tmp_path / "parameters.json"
    document.write_text(content)
    with pytest.raises(BadParameter, match=sentence):
        parse_parameters([], str(document))


@pytest.mark.parametrize(("text", "sentence"), [("soon", "is no instant"), ("2026-11-23T18:00:00", "lacks its offset")])
def test_an_instant_needs_its_offset(text: str, sentence: str) -> None:
    with pytest.raises(BadParameter, match=sentence):
        parse_instant(text)
