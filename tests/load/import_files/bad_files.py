"""Files that must not come in as they are, and what must be said of each. Sending them is the command's."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass

HEADER = "student_id,first_name,last_name"
SQL = "Robert'); DROP TABLE cadets;--"
_SPACE = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'


@dataclass(frozen=True)
class BadFile:
    """One file: either it is refused as a whole with these words, or these rows of it with field and code."""

    name: str
    data: Callable[[], bytes]
    words: str = ""
    rows: tuple[tuple[int, str, str], ...] = ()
    #: How many rows come in, and how many are refused, where `rows` does not name them all.
    created: int = 0
    refused: int = 0
    entity_type: str = "cadets"
    user_id: int = 1


def _csv(*lines: str, more: str = "") -> Callable[[], bytes]:
    return lambda: "\n".join([HEADER + more, *lines]).encode()


def workbook(sheet: bytes, **parts: bytes) -> bytes:
    """A workbook of one sheet, as small as one can be."""
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    overrides = {"xl/workbook.xml": "sheet.main", "xl/worksheets/sheet1.xml": "worksheet"}
    typed = "".join(f'<Override PartName="/{name}" ContentType="{kind}.{of}+xml"/>' for name, of in overrides.items())
    fixed = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types"><Default Extension="rels" '
        f'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>{typed}</Types>',
        "_rels/.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1" '
        f'Type="{office}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook {_SPACE} xmlns:r="{office}"><sheets><sheet name="a" sheetId="1" r:id="r1"/>'
        "</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1" '
        f'Type="{office}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in fixed.items():
            archive.writestr(name, text)
        archive.writestr("xl/worksheets/sheet1.xml", sheet)
        for name, content in parts.items():
            archive.writestr(name, content)
    return out.getvalue()


def sheet_of(rows: list[list[str]]) -> bytes:
    """A sheet with these texts."""
    lines = (
        f'<row r="{number}">' + "".join(f'<c t="inlineStr"><is><t>{cell}</t></is></c>' for cell in row) + "</row>"
        for number, row in enumerate(rows, 1)
    )
    return f"<worksheet {_SPACE}><sheetData>{''.join(lines)}</sheetData></worksheet>".encode()


_ROSTER = sheet_of([HEADER.split(","), ["2026-1", "Ana", "Cruz"]])
BAD_FILES = [
    BadFile("wrong types", _csv("A-001,Ana,Cruz,nine,no date", more=",year_level,birthdate"),
            rows=((1, "birthdate", "not_a_date"), (1, "year_level", "wrong_type"))),
    BadFile("values too long", _csv(f"A-002,{'a' * 256},Cruz", f"{'1' * 51},Ana,Cruz"),
            rows=((1, "first_name", "too_long"), (2, "student_id", "too_long"))),
    BadFile("the same cadet twice", _csv("A-003,Ana,Cruz", "A-003,Ben,Cruz"), created=1,
            rows=((2, "student_id", "duplicate"),)),
    BadFile("SQL in a name", _csv(f"A-004,{SQL},Cruz"), created=1),
    BadFile("mass assignment", _csv("A-005,Ana,Cruz,777,true", more=",id,is_archived"),
            rows=((1, "id", "not_allowed"), (1, "is_archived", "not_allowed"))),
    BadFile("rows that are no rows", _csv("A-006,Ana,Cruz,more", ",Ana,Cruz", "A-007,#REF!,Cruz"),
            rows=((1, "(row)", "too_many_cells"), (2, "student_id", "required"), (3, "first_name", "formula_error"))),
    BadFile("zero bytes in a name", _csv("A-008,A\0na,Cruz"), rows=((1, "first_name", "bad_characters"),)),
    BadFile("5,000 broken rows", _csv(*(f"B-{n},Ana,Cruz,9" for n in range(5000)), more=",year_level"), refused=5000),
    BadFile("grades beyond 100", lambda: b"student_id,prelim\nA-004,101\n", rows=((1, "prelim_score", "out_of_range"),),
            entity_type="grades"),
    BadFile("attendance of nobody", lambda: b"student_id,training_day_id,status\nZZZ,1,p\nA-004,99,p\n",
            rows=((1, "student_id", "unknown"), (2, "training_day_id", "unknown")), entity_type="attendance"),
    BadFile("no header", lambda: b"A-009,Ana,Cruz\n", words="none is called student_id"),
    BadFile("a quote never closed", lambda: f'{HEADER}\nA-010,"Ana,Cruz\n'.encode() + b"x\n" * 200_000,
            words="quote is not closed"),
    BadFile("a PDF", lambda: b"%PDF-1.7", words="a PDF"),
    BadFile("ZIP bomb", lambda: workbook(_ROSTER, **{"xl/sharedStrings.xml": bytes(80 << 20)}),
            words="unpacks to more"),
    BadFile("macros", lambda: workbook(_ROSTER, **{"xl/vbaProject.bin": b"x"}), words="macros"),
    BadFile("entities", lambda: workbook(b'<!DOCTYPE a [<!ENTITY b "c">]><worksheet>&b;</worksheet>'), words="damaged"),
    BadFile("half a workbook", lambda: workbook(_ROSTER)[:600], words="damaged"),
    BadFile("sent by a cadet", _csv("A-011,Ana,Cruz"), words="not allowed", user_id=2),
    BadFile("sent by one not approved", _csv("A-012,Ana,Cruz"), words="not allowed", user_id=3),
]  # fmt: skip
