"""The text of a Word document (DOCX), safe against ZIP and XML bombs. Pictures inside it are not read."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from ocr_service.domain.errors import DamagedDocument, DocumentTooLarge, EncryptedDocument

#: Unpacked bytes of the part with the text; 1,000 pages of writing have a quarter of it.
MAX_XML_BYTES = 20 * 1024 * 1024
_PART = "word/document.xml"
_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_DAMAGED = "The DOCX document is cut off or damaged: save it again and resend it."


def docx_text(data: bytes) -> str:
    """The text in reading order, a line per paragraph.

    Raises: DamagedDocument, DocumentTooLarge, EncryptedDocument.
    """
    xml = _document_xml(data)
    try:
        root: Element = fromstring(xml, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError) as error:
        raise DamagedDocument(_DAMAGED) from error
    return "\n".join(_paragraphs(root)).strip()


def _document_xml(data: bytes) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive, archive.open(_PART) as part:
            # Read to the limit instead of asking for the size: what a ZIP says of its sizes may be a lie.
            xml = part.read(MAX_XML_BYTES + 1)
    except RuntimeError as error:  # so says zipfile of a part with a password
        raise EncryptedDocument("The document is protected by a password: send it without one.") from error
    except (zipfile.BadZipFile, zlib.error, KeyError, EOFError, OSError, NotImplementedError) as error:
        raise DamagedDocument(_DAMAGED) from error
    if len(xml) > MAX_XML_BYTES:
        raise DocumentTooLarge(f"The text of the document unpacks to more than {MAX_XML_BYTES >> 20} MB: split it.")
    return xml


def _paragraphs(root: Element) -> Iterator[str]:
    for paragraph in root.iter(f"{_W}p"):
        yield "".join(_pieces(paragraph))


def _pieces(paragraph: Element) -> Iterator[str]:
    """The runs of one paragraph; of one inside it (a text box) only at its own turn."""
    for child in paragraph:
        if child.tag == f"{_W}t":
            yield child.text or ""
        elif child.tag == f"{_W}tab":
            yield "\t"
        elif child.tag in (f"{_W}br", f"{_W}cr"):
            yield "\n"
        elif child.tag not in (f"{_W}p", f"{_W}pPr", f"{_W}del", f"{_W}delText", f"{_W}instrText"):
            yield from _pieces(child)
