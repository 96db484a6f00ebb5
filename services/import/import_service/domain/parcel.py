"""Looks into the ZIP that a workbook is before anything is unpacked: sizes, macros, passwords. Reads no cell."""

from __future__ import annotations

import io
import lzma
import re
import struct
import zipfile
import zlib
from typing import IO
from xml.etree.ElementTree import ParseError

from openpyxl.utils.exceptions import InvalidFileException

from import_service.domain.file_refusals import DamagedFile, EncryptedFile, FileTooLarge, UnsupportedFile
from import_service.domain.limits import MB

MAX_PARTS = 1000
#: Unpacked. Sheets are walked, everything else is held in memory; zipfile gives no byte more than a part declares.
MAX_SHEET_BYTES = 400 * MB
MAX_TEXTS_BYTES = 48 * MB
MAX_PART_BYTES = 8 * MB
MAX_PICTURE_BYTES = 20 * MB
_WORKBOOK = "xl/workbook.xml"
_MACROS = re.compile(r"vbaProject|/macrosheets/", re.IGNORECASE)
_SHEET = re.compile(r"xl/worksheets/[^/]+\.xml")
#: A formula with nothing behind it: the program that wrote it never worked it out.
#: Nothing in it runs past the next `<`, so no text makes it slow.
_NEVER_COMPUTED = re.compile(rb"<f(?:\s[^<>]*)?(?:/>|>[^<]*</f>)\s*(?:<v\s*/>|<v></v>)?\s*</c>")
_CHUNK = 1 << 20
_OVERLAP = 1 << 14


#: What zipfile, the XML parser and openpyxl raise of a workbook that is none; found by feeding them broken ones.
DAMAGED = (
    zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, lzma.LZMAError, struct.error, ParseError,
    InvalidFileException, LookupError, ValueError, TypeError, AttributeError, EOFError, OSError, RuntimeError,
    ArithmeticError, AssertionError,
)  # fmt: skip


def check_parcel(data: bytes) -> None:
    """Raises: one of DAMAGED, EncryptedFile, FileTooLarge, UnsupportedFile."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = archive.infolist()
        _check_parts(parts)
        for part in parts:
            if _SHEET.fullmatch(part.filename):
                with archive.open(part) as sheet:
                    _check_formulas(sheet)


def _check_parts(parts: list[zipfile.ZipInfo]) -> None:
    names = {part.filename for part in parts}
    if _WORKBOOK not in names:
        raise UnsupportedFile("The file is packed, but no Excel workbook: send CSV or .xlsx.")
    if any(_MACROS.search(name) for name in names):
        raise UnsupportedFile("The workbook holds macros: save it as .xlsx without them.")
    if len(parts) > MAX_PARTS or len(names) < len(parts):
        raise DamagedFile("The workbook is not packed as one: save it again as .xlsx.")
    if any(part.flag_bits & 1 for part in parts):
        raise EncryptedFile("The workbook is protected by a password: save it without one.")
    sheets = sum(part.file_size for part in parts if _SHEET.fullmatch(part.filename))
    # Whatever their names end with: what a part is taken for is said by the workbook, not by its name.
    others = [part for part in parts if not _SHEET.fullmatch(part.filename)]
    if sheets > MAX_SHEET_BYTES or any(part.file_size > _most(part.filename) for part in others):
        raise FileTooLarge("The workbook unpacks to more than is read here: keep one sheet, or split it.")


def _most(name: str) -> int:
    if name.startswith("xl/media/"):
        return MAX_PICTURE_BYTES
    return MAX_TEXTS_BYTES if name.lower() == "xl/sharedstrings.xml" else MAX_PART_BYTES


def _check_formulas(sheet: IO[bytes]) -> None:
    before = b""
    while chunk := sheet.read(_CHUNK):
        if _NEVER_COMPUTED.search(before + chunk):
            raise UnsupportedFile(
                "The workbook holds formulas that were never worked out: open it in Excel, save it, and send it again."
            )
        before = chunk[-_OVERLAP:]
