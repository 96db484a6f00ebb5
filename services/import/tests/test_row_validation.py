"""Rows judged alone: every kind of value, every name, and what an error may say. No database."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from import_service.domain.cadets import CADET_UPDATES, CADETS
from import_service.domain.columns import Column, Kind
from import_service.domain.entity import normal
from import_service.domain.reading import Refused, read
from import_service.domain.rows import Row
from import_service.domain.validation import MAX_UNKNOWN, Validation
from rotc.demo.rotcmis import export

YEAR = Column("year_level", Kind.INTEGER, least=1, most=5, vocabulary={"1st year": "1"})
PHONE = Column("contact_number", Kind.DIGITS, longest=15)
DAY = Column("birthdate", Kind.DATE)
CLOCK = Column("time_in", Kind.TIME)
SCORE = Column("final_score", Kind.NUMBER, least=0, most=100)
NAME = Column("first_name", longest=5, shortest=2)
MAIL = Column("email", Kind.EMAIL, longest=254)


@pytest.mark.parametrize(
    ("column", "value", "stored"),
    [
        (YEAR, 2, 2), (YEAR, "3", 3), (YEAR, 4.0, 4), (YEAR, " 1st Year ", 1), (YEAR, "2.0", 2),
        (PHONE, 9171234567, "9171234567"), (PHONE, 170.0, "170"), (PHONE, 170.5, "170.5"), (PHONE, " 0917 ", "0917"),
        (DAY, "2006-01-31", datetime.date(2006, 1, 31)), (DAY, "2006-01-31T00:00:00Z", datetime.date(2006, 1, 31)),
        (DAY, datetime.datetime(2006, 1, 31, 5), datetime.date(2006, 1, 31)),  # noqa: DTZ001  as a workbook has it
        (CLOCK, "07:30", datetime.time(7, 30)), (CLOCK, "07:30:15", datetime.time(7, 30, 15)),
        (SCORE, "74.999", 74.999), (SCORE, 100, 100.0),
        (NAME, " Añà ", "Añà"), (MAIL, "a@b", "a@b"),
    ],
)  # fmt: skip
def test_a_value_is_read_as_its_column_holds_it(column: Column, value: object, stored: object) -> None:
    found = read(column, value)

    assert found == stored
    assert type(found) is type(stored)


@pytest.mark.parametrize(
    ("column", "value", "code"),
    [
        (YEAR, 0, "out_of_range"), (YEAR, 6, "out_of_range"), (YEAR, True, "wrong_type"), (YEAR, 1.5, "wrong_type"),
        (YEAR, "first", "wrong_type"), (YEAR, [1], "wrong_type"), (YEAR, 10**30, "out_of_range"),
        (YEAR, float("inf"), "wrong_type"), (YEAR, float("nan"), "wrong_type"),
        (PHONE, True, "wrong_type"), (PHONE, 10**20, "wrong_type"), (PHONE, "9" * 16, "too_long"),
        (PHONE, float("nan"), "wrong_type"),
        (DAY, "31.12.2005", "not_a_date"), (DAY, "2005-02-30", "not_a_date"), (DAY, 20050131, "not_a_date"),
        (DAY, "1899-12-31", "out_of_range"), (DAY, "20060131", "not_a_date"),
        (CLOCK, "25:00", "not_a_time"), (CLOCK, 730, "not_a_time"),
        (SCORE, "100.01", "out_of_range"), (SCORE, float("nan"), "out_of_range"), (SCORE, "1e2", "wrong_type"),
        (NAME, 5, "wrong_type"), (NAME, {"a": 1}, "wrong_type"), (NAME, "abcdef", "too_long"), (NAME, "a", "too_short"),
        (NAME, "a\0b", "bad_characters"), (NAME, "a\ud800", "bad_characters"),
        (MAIL, "nobody", "not_an_email"), (MAIL, "a b@c", "not_an_email"),
    ],
)  # fmt: skip
def test_a_value_that_does_not_fit_is_refused_without_being_repeated(column: Column, value: object, code: str) -> None:
    with pytest.raises(Refused) as refused:
        read(column, value)

    assert refused.value.code == code
    assert repr(value) not in refused.value.message


def test_names_are_known_however_they_are_written() -> None:
    assert {normal(name) for name in ("student_id", "studentId", "Student ID", "STUDENT-ID.")} == {"studentid"}


def check(values: dict[str, Any], validation: Validation | None = None, number: int = 1) -> Any:
    return (validation or Validation(CADETS)).check(Row(number, values))


def test_the_invented_export_is_valid_in_both_key_styles() -> None:
    for camel_case in (False, True):
        validation = Validation(CADETS)
        for number, row in enumerate(export(1, 300, camel_case=camel_case), 1):
            assert isinstance(validation.check(Row(number, row)), tuple)
        assert not validation.unknown


def test_a_record_is_the_number_and_a_value_for_each_column() -> None:
    record = check({"studentId": "2026-1", "last_name": " Peña "}, number=9)

    values = dict(zip(("number", *(column.name for column in CADETS.columns)), record, strict=True))
    assert {name: value for name, value in values.items() if value is not None} == {
        "number": 9, "student_id": "2026-1", "last_name": "Peña",
    }  # fmt: skip


def test_every_error_of_a_row_is_told_not_only_the_first() -> None:
    errors = check({"age": "x", "id": 1, "year_level": 9, "email": "x"})

    assert [(error.field, error.code) for error in errors] == [
        ("age", "wrong_type"), ("id", "not_allowed"), ("year_level", "out_of_range"), ("email", "not_an_email"),
        ("student_id", "required"),
    ]  # fmt: skip


def test_one_column_under_two_names_is_refused() -> None:
    [error] = check({"student_id": "2026-1", "studentId": "2026-2"})

    assert (error.field, error.code) == ("student_id", "given_twice")


def test_the_second_row_of_a_cadet_is_refused_and_names_the_first() -> None:
    validation = Validation(CADETS)
    check({"student_id": "2026-1"}, validation, 3)

    [error] = check({"studentId": " 2026-1 "}, validation, 7)

    assert (error.row, error.field, error.code, error.message) == (
        7, "student_id", "duplicate", "has the same student_id as row 3",
    )  # fmt: skip


def test_a_refused_row_does_not_stand_in_the_way_of_a_right_one() -> None:
    validation = Validation(CADETS)

    assert isinstance(check({"student_id": "2026-1", "age": "x"}, validation, 1), list)
    assert isinstance(check({"student_id": "2026-1"}, validation, 2), tuple)


def test_unknown_names_are_counted_but_not_more_of_them_than_are_worth_telling() -> None:
    validation = Validation(CADETS)
    for number in range(50):
        check({"student_id": f"2026-{number}", "rank": "CDT", f"x{number}": 1}, validation, number)

    assert validation.unknown["rank"] == 50
    assert len(validation.unknown) == MAX_UNKNOWN


def test_a_name_from_outside_is_shown_short_and_printable() -> None:
    [error] = check({"cadet_id": 1, "\x1b[31m" + "x" * 500: 1}, Validation(CADET_UPDATES))

    assert error.field == "?[31m" + "x" * 45


def test_a_change_says_which_columns_were_given_also_to_empty_them() -> None:
    record = check({"cadet_id": 4, "company": "Bravo", "email": None}, Validation(CADET_UPDATES))

    assert record[-1] == ["company", "email"]
