"""Makes files out of letters: scans as PDF, a PDF with a text layer, a DOCX. Draws no letter."""

from __future__ import annotations

import io
import textwrap
import zipfile
from collections.abc import Sequence
from xml.sax.saxutils import escape

from PIL import Image

_W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_LINE_LETTERS = 95


def encoded(page: Image.Image, kind: str = "PNG") -> bytes:
    """The page as a picture file."""
    out = io.BytesIO()
    page.save(out, kind)
    return out.getvalue()


def scanned(pages: Sequence[Image.Image], kind: str = "PDF", dpi: int = 150) -> bytes:
    """The pages as one file without any text, PDF or TIFF."""
    out = io.BytesIO()
    options = {"resolution": dpi} if kind == "PDF" else {}
    pages[0].save(out, kind, save_all=True, append_images=list(pages[1:]), **options)
    return out.getvalue()


def typed_pdf(pages: Sequence[str]) -> bytes:
    """A PDF that carries its own text (Latin-1), a page of Letter size for each."""
    numbers = [4 + 2 * index for index in range(len(pages))]
    kids = " ".join(f"{number} 0 R" for number in numbers)
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    ]
    for number, text in zip(numbers, pages, strict=True):
        resources = "/Resources << /Font << /F1 3 0 R >> >>"
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] {resources} /Contents {number + 1} 0 R >>"
        )
        content = _content(text)
        objects.append(f"<< /Length {len(content.encode('latin-1'))} >>\nstream\n{content}\nendstream")
    return _file(objects)


def _content(text: str) -> str:
    wrapped = (line for paragraph in text.split("\n") for line in textwrap.wrap(paragraph, _LINE_LETTERS) or [""])
    lines = (line.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)") for line in wrapped)
    return "BT /F1 10 Tf 14 TL 50 740 Td " + " ".join(f"({line}) Tj T*" for line in lines) + " ET"


def _file(objects: Sequence[str]) -> bytes:
    out = bytearray(b"%PDF-1.7\n")
    places = []
    for number, content in enumerate(objects, 1):
        places.append(len(out))
        out += f"{number} 0 obj\n{content}\nendobj\n".encode("latin-1")
    start = len(out)
    out += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode()
    out += "".join(f"{place:010} 00000 n \n" for place in places).encode()
    out += f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n".encode()
    return bytes(out)


def docx(text: str) -> bytes:
    """The least that Word opens: a paragraph per line."""
    paragraphs = "".join(f"<w:p><w:r><w:t>{escape(line)}</w:t></w:r></w:p>" for line in text.split("\n"))
    return zipped({"word/document.xml": f'<w:document xmlns:w="{_W}"><w:body>{paragraphs}</w:body></w:document>'})


def zipped(parts: dict[str, str]) -> bytes:
    """A ZIP of these parts."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return out.getvalue()
