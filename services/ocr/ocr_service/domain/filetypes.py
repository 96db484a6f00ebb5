"""Which type a document is of, told from its bytes. Knows nothing of file names or content types."""

from __future__ import annotations

from enum import StrEnum

from ocr_service.domain.errors import EmptyDocument, EncryptedDocument, UnsupportedType


class DocumentType(StrEnum):
    """What can be read; the value is what a person calls it."""

    JPEG = "JPEG"
    PNG = "PNG"
    WEBP = "WebP"
    TIFF = "TIFF"
    PDF = "PDF"
    DOCX = "DOCX"


_PDF_MARGIN = 1024  # readers look for the header this far in
_HTML_MARGIN = 1024
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_WANTED = "send a JPEG, PNG, WebP, TIFF, PDF or DOCX file"


def type_of(data: bytes) -> DocumentType:
    """The type of a document.

    Raises: EmptyDocument, UnsupportedType, EncryptedDocument for an Office file with a password.
    """
    if not data:
        raise EmptyDocument("The file is empty.")
    found = _picture_type(data)
    if found is not None:
        return found
    start = data[:_HTML_MARGIN].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype html", b"<html", b"<head", b"<script")):
        raise UnsupportedType(f"The address leads to a web page, not to a document: {_WANTED}.")
    if b"%PDF-" in data[:_PDF_MARGIN]:
        return DocumentType.PDF
    # The parts of a ZIP are named in clear beside their compressed bytes.
    if data.startswith(b"PK\x03\x04") and b"word/document.xml" in data:
        return DocumentType.DOCX
    if data.startswith(_OLE):
        raise _refusal_of_office(data)
    raise UnsupportedType(f"The file is of no known type: {_WANTED}.")


def _picture_type(data: bytes) -> DocumentType | None:
    if data.startswith(b"\xff\xd8\xff"):
        return DocumentType.JPEG
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return DocumentType.PNG
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return DocumentType.WEBP
    if data.startswith((b"II*\x00", b"MM\x00*")):
        return DocumentType.TIFF
    return None


def _refusal_of_office(data: bytes) -> EncryptedDocument | UnsupportedType:
    if "EncryptedPackage".encode("utf-16-le") in data:
        return EncryptedDocument("The document is protected by a password: send it without one.")
    return UnsupportedType("Word's old .doc format is not read: save the letter as DOCX or PDF and send that.")
