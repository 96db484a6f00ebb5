"""Excel workbooks become CSV: dates, numbers and formulas as a person sees them; hostile ones are refused."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from datetime import date, datetime, time
from random import Random
from typing import Any

import openpyxl
import pytest
from import_service.domain.cadets import CADETS
from import_service.domain.csv_table import read_table
from import_service.domain.file_refusals import (
    DamagedFile,
    EmptyFile,
    EncryptedFile,
    FileTooLarge,
    RefusedFile,
    UnsupportedFile,
)
from import_service.domain.filetypes import kind_of
from import_service.domain.workbook import workbook_to_csv

HEADER = ["Student ID", "First Name", "Surname", "Birthdate"]
SHEET = "xl/worksheets/sheet1.xml"


def workbook(*rows: list[Any], sheets: int = 1) -> bytes:
    made = openpyxl.Workbook()
    assert made.active is not None
    for row in rows:
        made.active.append(row)
    for _ in range(1, sheets):
        made.create_sheet().append(["another", "table"])
    out = io.BytesIO()
    made.save(out)
    return out.getvalue()


def changed(data: bytes, change: Callable[[str, bytes], bytes | None], **added: bytes) -> bytes:
    """The workbook with parts edited, left out (None) or added."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for part in old.infolist():
            content = change(part.filename, old.read(part))
            if content is not None:
                new.writestr(part.filename, content)
        for name, content in added.items():
            new.writestr(name.replace("__", "/"), content)
    return out.getvalue()


def with_sheet(xml: str) -> bytes:
    """A workbook whose sheet has these rows as they stand."""
    space = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    sheet = f"<worksheet {space}><dimension ref='A1'/><sheetData>{xml}</sheetData></worksheet>".encode()
    return changed(workbook(HEADER), lambda name, content: sheet if name == SHEET else content)


def inline(place: str, text: str) -> str:
    return f'<c r="{place}" t="inlineStr"><is><t>{text}</t></is></c>'


TITLES = f'<row r="1">{inline("A1", "Student ID")}{inline("B1", "First Name")}{inline("C1", "Birthdate")}</row>'


def values(data: bytes) -> list[dict[str, object]]:
    if kind_of(data) == "workbook":
        data = workbook_to_csv(data, CADETS)
    return [dict(row.values) for row in read_table(data, CADETS).rows]


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (date(2005, 3, 31), "2005-03-31"), (datetime(2005, 3, 31), "2005-03-31"),  # noqa: DTZ001  Excel has no zones
        (38_442, "2005-03-31"), ("2005-03-31", "2005-03-31"), ("about 2005", "about 2005"), (time(7, 30), "07:30:00"),
    ],
)  # fmt: skip
def test_a_date_is_one_however_the_sheet_holds_it(cell: Any, text: str) -> None:
    [row] = values(workbook(HEADER, ["2026-1", "José", "Peña", cell]))

    assert row == {"student_id": "2026-1", "first_name": "José", "last_name": "Peña", "birthdate": text}


@pytest.mark.parametrize(("cell", "text"), [(20_260_001, "20260001"), (1.0, "1"), (2.5, "2.5"), (True, "TRUE")])
def test_a_number_is_written_as_a_person_would(cell: Any, text: str) -> None:
    [row] = values(workbook(HEADER, [cell, "Ana", "Cruz"]))

    assert row["student_id"] == text


def test_rows_keep_their_numbers_and_only_the_first_sheet_is_read() -> None:
    data = workbook(HEADER, [], ["2026-1", "Ana, the\nfirst", "Cruz"], [None] * 3, ["2026-2", "Ben", "Cruz"], sheets=2)

    found = list(read_table(workbook_to_csv(data, CADETS), CADETS).rows)

    assert [(row.number, row.values["first_name"]) for row in found] == [(2, "Ana, the\nfirst"), (4, "Ben")]


def test_dates_are_found_under_a_title() -> None:
    data = workbook(["Roster of the first term", None, date(2026, 6, 1)], [], HEADER, ["2026-1", "Ana", "Cruz", 38_442])

    assert [row["birthdate"] for row in values(data)] == ["2005-03-31"]


def test_a_formula_counts_as_what_the_sheet_shows_for_it() -> None:
    data = with_sheet(f'{TITLES}<row r="2"><c r="A2" t="str"><f>"2026-"&amp;1</f><v>2026-1</v></c></row>')

    assert values(data) == [{"student_id": "2026-1"}]


def test_what_a_sheet_says_of_its_own_size_cuts_nothing_off() -> None:
    assert values(with_sheet(f'{TITLES}<row r="2">{inline("A2", "2026-1")}{inline("B2", "Ana")}</row>')) == [
        {"student_id": "2026-1", "first_name": "Ana"}
    ]


def test_an_error_of_a_formula_refuses_its_row_alone() -> None:
    data = with_sheet(f'{TITLES}<row r="2"><c r="A2" t="e"><f>X1/0</f><v>#DIV/0!</v></c></row>')

    [row] = read_table(workbook_to_csv(data, CADETS), CADETS).rows
    assert [(error.field, error.code) for error in row.errors] == [("student_id", "formula_error")]


def bomb() -> bytes:
    """A text table of 50 MB in 50 kilobytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        new.writestr("xl/workbook.xml", b"<workbook/>")
        new.writestr("xl/sharedStrings.xml", bytes(50 << 20))
    return out.getvalue()


def lying(data: bytes) -> bytes:
    """The sheet is 5 MB, the directory says 100 bytes."""
    big = changed(data, lambda name, content: content + b" " * 5_000_000 if name == SHEET else content)
    with zipfile.ZipFile(io.BytesIO(big)) as archive:
        size = archive.getinfo(SHEET).file_size
    return big.replace(size.to_bytes(4, "little"), (100).to_bytes(4, "little"))


def locked(data: bytes) -> bytes:
    """The flag of a password on every entry of the directory."""
    spoiled = bytearray(data)
    start = 0
    while (start := data.find(b"PK\x01\x02", start)) >= 0:
        spoiled[start + 8] |= 1
        start += 4
    return bytes(spoiled)


def many_references() -> bytes:
    """One text of 32,000 characters in 2,000 cells: 64 MB of text in a few kilobytes."""
    text = "a" * 32_000
    strings = (
        '<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><si><t>' + text + "</t></si></sst>"
    ).encode()
    cells = "".join(f'<row r="{n}"><c r="A{n}" t="s"><v>0</v></c></row>' for n in range(2, 2002))
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"
    listed = f'<Override PartName="/xl/sharedStrings.xml" ContentType="{kind}"/></Types>'.encode()

    def with_texts(name: str, content: bytes) -> bytes:
        return content.replace(b"</Types>", listed) if name == "[Content_Types].xml" else content

    return changed(with_sheet(TITLES + cells), with_texts, **{"xl__sharedStrings.xml": strings})


ONE = workbook(HEADER, ["2026-1", "Ana", "Cruz"])
DTD = b'<!DOCTYPE d [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><worksheet>&b;</worksheet>'


@pytest.mark.parametrize(
    ("data", "refusal", "said"),
    [
        (bomb, FileTooLarge, "unpacks to more"),
        (lambda: lying(ONE), DamagedFile, "damaged"),
        (lambda: locked(ONE), EncryptedFile, "password"),
        (many_references, FileTooLarge, "characters"),
        (lambda: changed(ONE, lambda name, content: content, xl__vbaProject=b"x"), UnsupportedFile, "macros"),
        (lambda: changed(ONE, lambda name, content: DTD if name == SHEET else content), DamagedFile, "damaged"),
        (lambda: changed(ONE, lambda name, content: b"<a" if name == SHEET else content), DamagedFile, "damaged"),
        (lambda: changed(ONE, lambda name, _: None if name == "xl/workbook.xml" else b""), UnsupportedFile, "no Ex"),
        (lambda: ONE[: len(ONE) // 2], DamagedFile, "damaged"),
        (lambda: with_sheet(f'{TITLES}<row r="2"><c r="A2"><f>1+1</f></c></row>'), UnsupportedFile, "worked out"),
        (lambda: with_sheet(f'{TITLES}<row r="200002">{inline("A200002", "x")}</row>'), FileTooLarge, "200,000 rows"),
        (lambda: with_sheet(f'{TITLES}<row r="2"><c r="A2" t="s"><v>99</v></c></row>'), DamagedFile, "damaged"),
        (lambda: workbook(), EmptyFile, "no header"),
    ],
    ids=[
        "zip bomb", "a lie about sizes", "password", "one text many times", "macros", "entities", "broken XML",
        "no workbook", "cut off", "formula without result", "a row far away", "a text that is not there", "nothing",
    ],
)  # fmt: skip
def test_a_hostile_workbook_is_refused_in_one_sentence(
    data: Callable[[], bytes], refusal: type[RefusedFile], said: str
) -> None:
    with pytest.raises(refusal, match=said):
        values(data())


def test_a_row_beyond_the_last_of_any_sheet_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("import_service.domain.workbook._LAST_ROW", 10_000)
    data = with_sheet(f'{TITLES}<row r="2">{inline("A2", "2026-1")}</row><row r="2000000000">{inline("A1", "x")}</row>')

    assert values(data)[0] == {"student_id": "2026-1"}


def spoiled(data: bytes, chance: Random) -> bytes:
    """The workbook with bytes changed, in its packing or within one of its parts."""
    if chance.random() < 0.4:
        packed = bytearray(data)
        for _ in range(chance.randint(1, 8)):
            packed[chance.randrange(len(packed))] = chance.randrange(256)
        return bytes(packed)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        victim = chance.choice(archive.namelist())

    def change(name: str, content: bytes) -> bytes:
        place = chance.randrange(len(content))
        put = chance.choice([b"9", b"-1", b"99999999999", b'"', b"<", b"/>", b"NaN", b"\xff", b""])
        return content[:place] + put + content[place + chance.randint(0, 20) :] if name == victim else content

    return changed(data, change)


def test_a_workbook_with_anything_changed_is_read_or_refused() -> None:
    whole = workbook(HEADER, *(["2026-1", "Ana", "Cruz", date(2005, 3, 31)] for _ in range(3)))
    ends = set()
    for seed in range(150):
        try:
            values(spoiled(whole, Random(seed)))
            ends.add("read")
        except RefusedFile:
            ends.add("refused")

    assert ends == {"read", "refused"}
