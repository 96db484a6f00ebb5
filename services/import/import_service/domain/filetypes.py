"""Tells a table from other files by its first bytes; the name it was sent under is not asked."""

from __future__ import annotations

from typing import Literal

from import_service.domain.file_refusals import EmptyFile, EncryptedFile, FileTooLarge, UnsupportedFile
from import_service.domain.limits import MAX_BYTES, MB

Kind = Literal["text", "workbook"]
_OLD_OFFICE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_OTHERS = {
    b"%PDF": "a PDF", b"\x89PNG": "a picture", b"\xff\xd8\xff": "a picture", b"GIF8": "a picture",
    b"{\\rtf": "a Word document", b"\x1f\x8b": "a packed file", b"Rar!": "a packed file",
    b"7z\xbc\xaf": "a packed file", b"<!DOCTYPE": "a web page", b"<html": "a web page", b"<?xml": "an XML file",
}  # fmt: skip


def kind_of(data: bytes) -> Kind:
    """What the bytes are.

    Raises: EmptyFile, EncryptedFile, FileTooLarge, UnsupportedFile.
    """
    if not data.strip():
        raise EmptyFile("The file is empty.")
    if len(data) > MAX_BYTES:
        size, most = len(data) / MB, MAX_BYTES // MB
        raise FileTooLarge(f"The file has {size:.1f} MB, at most {most} MB are accepted: split it.")
    if data.startswith(b"PK\x03\x04"):
        return "workbook"
    if data.startswith(_OLD_OFFICE):
        # Both the workbooks of before 2007 and the encrypted ones of today are such containers.
        if "EncryptedPackage".encode("utf-16-le") in data:
            raise EncryptedFile("The workbook is protected by a password: save it without one.")
        raise UnsupportedFile("The file is a workbook of the old kind (.xls): save it as .xlsx or CSV.")
    for start, name in _OTHERS.items():
        if data.startswith(start):
            raise UnsupportedFile(f"The file is {name}: send CSV or an Excel workbook (.xlsx).")
    return "text"
