"""Which type a file is of, told from its bytes. Knows nothing of file names, content types or who may send what."""

from __future__ import annotations

import io
import zipfile
from enum import StrEnum

from media_service.domain.errors import UnreadableDocument


class FileType(StrEnum):
    """The types the unit works with; the value is the extension of a stored file."""

    JPEG = "jpg"
    PNG = "png"
    GIF = "gif"
    WEBP = "webp"
    PDF = "pdf"
    DOC = "doc"
    DOCX = "docx"


IMAGE_TYPES = frozenset({FileType.JPEG, FileType.PNG, FileType.GIF, FileType.WEBP})
DOCUMENT_TYPES = frozenset({FileType.PDF, FileType.DOC, FileType.DOCX})

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_PDF_MARGIN = 1024  # readers look for the header and the end mark this far in from either end


def sniff(data: bytes) -> FileType | None:
    """The type of the bytes, or None when they are of no type known here; never raises."""
    if data.startswith(b"\xff\xd8\xff"):
        return FileType.JPEG
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return FileType.PNG
    if data.startswith((b"GIF87a", b"GIF89a")):
        return FileType.GIF
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return FileType.WEBP
    return _sniff_document(data)


def _sniff_document(data: bytes) -> FileType | None:
    if b"%PDF-" in data[:_PDF_MARGIN]:
        return FileType.PDF
    # Excel and Outlook write the same container: the name of Word's stream tells them apart.
    if data.startswith(_OLE) and "WordDocument".encode("utf-16-le") in data:
        return FileType.DOC
    # The same for ZIP: the parts are named in clear beside their compressed bytes.
    if data.startswith(b"PK\x03\x04") and b"word/document.xml" in data:
        return FileType.DOCX
    return None


def check_document(data: bytes, file_type: FileType) -> None:
    """Raise UnreadableDocument when a document is plainly cut off; its content is not looked at."""
    if file_type is FileType.PDF and b"%%EOF" not in data[-_PDF_MARGIN:]:
        raise UnreadableDocument("The PDF is cut off before its end: send the whole file again.")
    # The directory of a ZIP is its last part, so a truncated one has none.
    if file_type is FileType.DOCX and not zipfile.is_zipfile(io.BytesIO(data)):
        raise UnreadableDocument("The DOCX document is cut off before its end: send the whole file again.")
