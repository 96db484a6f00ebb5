"""CSV files as people send them: their encodings, delimiters and headers; what is broken, and where that is said."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from import_service.domain import csv_table
from import_service.domain.cadets import CADETS
from import_service.domain.csv_table import read_table
from import_service.domain.file_refusals import (
    DamagedFile,
    EmptyFile,
    EncryptedFile,
    FileTooLarge,
    RefusedFile,
    RefusedHeader,
    UnsupportedFile,
)
from import_service.domain.filetypes import kind_of
from import_service.domain.limits import MAX_BYTES
from import_service.domain.rows import Row

NAMES = "student_id,first_name,last_name\n"
PENA = NAMES + "2026-1,José,Peña\n"


def rows(data: str | bytes) -> list[Row]:
    table = read_table(data.encode() if isinstance(data, str) else data, CADETS)
    return list(table.rows)


def values(data: str | bytes) -> list[dict[str, object]]:
    return [dict(row.values) for row in rows(data)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
def test_a_file_is_read_in_the_encoding_it_has(encoding: str) -> None:
    table = read_table(PENA.encode(encoding), CADETS)

    assert [row.values["last_name"] for row in table.rows] == ["Peña"]
    assert ["Windows-1252" in warning for warning in table.warnings] == [True] * (encoding == "cp1252")


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("first", ["", "\n\n", "sep={0}\n"])
def test_the_delimiter_is_found_in_the_header(delimiter: str, first: str) -> None:
    text = first.format(delimiter) + PENA.replace(",", delimiter)

    assert values(text) == [{"student_id": "2026-1", "first_name": "José", "last_name": "Peña"}]


@pytest.mark.parametrize(
    "header",
    [
        "Student ID,First Name,Surname", "studentId,firstName,lastName", "STUDENT-ID.,given name,FAMILY NAME",
        "ID,First_Name,Last  Name", "Student No.,FIRSTNAME,LastName,,",
    ],
)  # fmt: skip
def test_columns_are_known_by_the_names_that_people_give_them(header: str) -> None:
    assert values(f"{header}\n2026-1,Ana,Cruz\n") == [
        {"student_id": "2026-1", "first_name": "Ana", "last_name": "Cruz"}
    ]


def test_a_title_above_the_columns_is_passed_over() -> None:
    title = '"Mindanao State University, Naawan",,\n\n"Roster, first term",2026,\n'
    [row] = rows(title.replace(",,", ";;") + "Student ID;First Name;Surname\n2026-1;Ana;Cruz\n")

    assert row == Row(1, {"student_id": "2026-1", "first_name": "Ana", "last_name": "Cruz"})


def test_beside_a_student_id_another_id_is_none() -> None:
    [row] = rows("id,student_id,first_name,last_name\n777,2026-1,Ana,Cruz\n")

    assert row.values["student_id"] == "2026-1"
    assert row.values["id"] == "777"


def test_columns_nobody_knows_may_be_called_the_same() -> None:
    [row] = rows("student_id,remarks,remarks,Remarks\n2026-1,a,b,c\n")

    assert row.values["student_id"] == "2026-1"


def test_a_quoted_cell_may_hold_line_ends_delimiters_and_quotes() -> None:
    [first, second] = rows(NAMES + '2026-1,"Ana, ""the\r\nsecond""",Cruz\r\n2026-2,Ben,Cruz')

    assert first.values["first_name"] == 'Ana, "the\r\nsecond"'
    assert (first.number, second.number) == (1, 2)


def test_empty_rows_are_passed_over_and_counted_and_empty_cells_were_not_given() -> None:
    [row] = rows(NAMES.replace("\n", ",email\n") + "\n,,,\n2026-1, Ana ,Cruz,\n  \n")

    assert row == Row(3, {"student_id": "2026-1", "first_name": "Ana", "last_name": "Cruz"})


@pytest.mark.parametrize(
    ("line", "field", "code"),
    [
        ("2026-1,Dela,Cruz,Juan", "(row)", "too_many_cells"),
        (f"2026-1,{'a' * 40_000},Cruz", "first_name", "too_long"),
        ("2026-1,#N/A,Cruz", "first_name", "formula_error"),
    ],
)
def test_a_broken_row_is_refused_alone_and_does_not_repeat_what_it_held(line: str, field: str, code: str) -> None:
    [broken, good] = rows(NAMES + line + "\n2026-2,Ben,Cruz\n")

    [error] = broken.errors
    assert (error.row, error.field, error.code) == (1, field, code)
    assert "Juan" not in error.message
    assert not good.errors


def test_a_row_with_fewer_cells_gives_what_it_has() -> None:
    assert values(NAMES + "2026-1,Ana\n") == [{"student_id": "2026-1", "first_name": "Ana"}]


@pytest.mark.parametrize(
    ("data", "refusal", "said"),
    [
        (b"student_id,student_id,first_name\n1,2,3\n", RefusedHeader, "more than one column"),
        (b"Student ID,student_id\n1,2\n", RefusedHeader, "More than one column means student_id"),
        (b"first_name,last_name\nAna,Cruz\n", RefusedHeader, "none is called student_id"),
        (b"2026-1,Ana,Cruz\n2026-2,Ben,Cruz\n", RefusedHeader, "none is called student_id"),
        (b"student_id" + b",x" * 200 + b"\n", RefusedHeader, "100 columns"),
        (NAMES.encode(), EmptyFile, "no row under it"),
        (b" \n\t\n", EmptyFile, "no header"),
        (NAMES.encode() + b'1,"' + b"never closed\n" * 20_000, DamagedFile, "quote is not closed"),
        (NAMES.encode() + b"," * 2_000_000, FileTooLarge, "1,000,000 characters"),
        (b"," * 2_000_000, FileTooLarge, "1,000,000 characters"),
        (b"\xff\xfe" + PENA.encode("utf-16-le")[:-1], DamagedFile, "damaged"),
        (bytes(range(256)) * 4, UnsupportedFile, "encoding"),
        (b"\0\1\0\0" * 100, UnsupportedFile, "not text"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_is_refused_in_one_sentence(
    data: bytes, refusal: type[RefusedFile], said: str
) -> None:
    with pytest.raises(refusal) as caught:
        rows(data)

    assert said.lower() in str(caught.value).lower()
    assert len(str(caught.value)) < 700


@pytest.mark.parametrize(
    ("data", "refusal", "said"),
    [
        (b"", EmptyFile, "empty"),
        (b"%PDF-1.7 ...", UnsupportedFile, "PDF"),
        (b"\x89PNG\r\n", UnsupportedFile, "picture"),
        (b"<!DOCTYPE html>", UnsupportedFile, "web page"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(100), UnsupportedFile, ".xls"),
        (
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le"),
            EncryptedFile,
            "password",
        ),
        (b"a" * (MAX_BYTES + 1), FileTooLarge, "20 MB"),
    ],
)
def test_what_is_no_table_is_told_by_its_bytes(data: bytes, refusal: type[RefusedFile], said: str) -> None:
    with pytest.raises(refusal, match=said):
        kind_of(data)


def test_a_file_of_too_many_rows_is_refused_when_they_are_met(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_table, "MAX_ROWS", 500)
    data = NAMES + "2026-1,Ana,Cruz\n" * 500
    assert len(rows(data)) == 500
    data += "\n2026-1,Ana,Cruz"

    with pytest.raises(FileTooLarge, match="more than 500 rows"):
        rows(data)


def test_rows_are_read_one_at_a_time() -> None:
    data = NAMES.encode() + b"2026-1,Ana Maria Concepcion,Dela Cruz y Santos\n" * 20_000
    tracemalloc.start()
    try:
        for _ in read_table(data, CADETS).rows:
            pass
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < len(data) / 2, "no second copy of the file, and not its rows"


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=200), st.sampled_from(["utf-8", "utf-16", "cp1252"]))
def test_any_bytes_under_a_header_are_read_or_refused(data: bytes, encoding: str) -> None:
    try:
        found = rows(NAMES.encode(encoding) + data)
    except RefusedFile as refusal:
        said = str(refusal)
        assert said
    else:
        assert [row.number for row in found] == sorted({row.number for row in found})
