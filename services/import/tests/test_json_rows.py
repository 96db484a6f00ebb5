"""Rows out of JSON text: every form that is accepted, and what is not JSON."""

from __future__ import annotations

import pytest
from import_service.domain.json_rows import UnreadableRows, rows_of_list, rows_of_text, split
from import_service.domain.rows import Row


@pytest.mark.parametrize(
    "text", ['[{"a": 1}, 2]', '{"records": [{"a": 1}, 2]}', '{"data": [{"a": 1}, 2], "exported": "2026"}']
)
def test_a_list_bare_or_wrapped_gives_numbered_rows(text: str) -> None:
    for form in (text, text.encode(), b"\xef\xbb\xbf" + text.encode()):
        assert list(rows_of_text(split(form))) == [Row(1, {"a": 1}), Row(2, {})]


def test_a_list_that_is_decoded_already_gives_the_same() -> None:
    assert list(rows_of_list([{"a": 1}, "text", None])) == [Row(1, {"a": 1}), Row(2, {}), Row(3, {})]


@pytest.mark.parametrize(
    "text", ["", "null", "5", '"[]"', "[1,", '{"rows": []}', '{"records": [], "data": []}', "\ud800", "[" * 5000]
)
def test_what_holds_no_rows_is_refused(text: str) -> None:
    with pytest.raises(UnreadableRows):
        split(text)


def test_a_row_nested_too_deep_is_no_object_and_leaves_the_others_alone() -> None:
    deep = "[" * 3000 + "]" * 3000

    try:
        parts = split(f'[{{"a": 1}}, {deep}]')
    except UnreadableRows:
        return  # refused as a whole is as good
    assert list(rows_of_text(parts)) == [Row(1, {"a": 1}), Row(2, {})]
