"""A certificate to be framed: landscape, seal, QR code of its verification link. What the code means is rotc's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reportlab.graphics import renderPDF
from reportlab.graphics.barcode.qr import QrCodeWidget
from reportlab.graphics.shapes import Drawing

from reports_service.domain import palette
from reports_service.domain.document import A4_LANDSCAPE, Rendered, no_progress
from reports_service.domain.flow import OnPage
from reports_service.domain.letterhead import Unit, draw_seal
from reports_service.domain.sheet import About, Sheet
from reports_service.domain.typefaces import faces
from reports_service.domain.typesetting import Typesetter, characters_of, printable

_QR = 72.0


@dataclass(frozen=True)
class CertificateData:
    """Everything on one certificate."""

    about: About
    unit: Unit
    cadet_name: str
    activity: str
    description: str
    #: The activity's date in words.
    held_on: str
    #: As printed, such as "ABCDE-FGHIJ-KLMNO-PQRST".
    code: str
    link: str
    #: Name (may be empty) and office of who signs.
    signatories: Sequence[tuple[str, str]]


def render_certificate(data: CertificateData, on_page: OnPage = no_progress) -> Rendered:
    """The PDF of one page."""
    unit = data.unit
    texts = [data.cadet_name, data.activity, data.description, data.held_on, unit.school, unit.name, unit.battalion]
    texts += [text for pair in data.signatories for text in pair]
    with faces(characters_of([*texts, unit.term])) as made:
        sheet = Sheet(A4_LANDSCAPE, data.about, Typesetter(made))
        sheet.bookmark(data.about.title)
        _draw_border(sheet)
        _draw_head(sheet, unit)
        _draw_award(sheet, data)
        _draw_signatories(sheet, data.signatories)
        _draw_proof(sheet, data)
        sheet.end_page()
        on_page(1, 1)
        return Rendered(sheet.finish(), 1, 1)


def _draw_border(sheet: Sheet) -> None:
    width, height = sheet.width, sheet.height
    sheet.frame(22, 22, width - 44, height - 44, palette.NAVY, 5)
    sheet.frame(30, 30, width - 60, height - 60, palette.GOLD, 1.6)
    sheet.frame(34, 34, width - 68, height - 68, palette.GOLD, 0.5)
    for x in (22, width - 22 - 26):
        for y in (22, height - 22 - 26):
            sheet.box(x, y, 26, 26, palette.NAVY)
            sheet.frame(x + 5, y + 5, 16, 16, palette.GOLD, 1.2)


def _draw_head(sheet: Sheet, unit: Unit) -> None:
    middle, top = sheet.width / 2, sheet.height
    draw_seal(sheet, middle, top - 92, 40)
    sheet.text(middle, top - 152, unit.school.upper(), 10, bold=True, align="centre", colour=palette.GREY)
    sheet.text(middle, top - 168, f"{unit.name}  ·  {unit.battalion}", 10, align="centre", colour=palette.GREY)
    sheet.text(middle, top - 212, "CERTIFICATE OF ACHIEVEMENT", 30, bold=True, align="centre", colour=palette.NAVY)
    sheet.rule(middle - 150, top - 224, middle + 150, palette.GOLD, 1.2)


def _draw_award(sheet: Sheet, data: CertificateData) -> None:
    middle, top, room = sheet.width / 2, sheet.height, sheet.width - 200
    sheet.text(middle, top - 250, "is proudly presented to", 12, align="centre", colour=palette.GREY)
    size = sheet.type.fitting_size(printable(data.cadet_name), room, 34, bold=True, least=9)
    name = sheet.type.wrap(printable(data.cadet_name), room, size, bold=True, most=2)
    sheet.colour(palette.GREEN)
    for number, line in enumerate(name):
        sheet.line_of_text(middle, top - 292 - number * size * 1.2 + (len(name) - 1) * size * 0.6, line, size, "centre")
    sheet.rule(middle - 220, top - 304, middle + 220, palette.LINE, 0.8)
    sheet.text(middle, top - 326, "for outstanding participation in", 12, align="centre", colour=palette.GREY)
    _draw_lines(sheet, data.activity, top - 350, 18, most=2, bold=True, colour=palette.NAVY)
    below = top - 350 - 21 * len(sheet.type.wrap(printable(data.activity), room, 18, bold=True, most=2))
    sheet.text(middle, below, f"held on {data.held_on}", 11, align="centre", colour=palette.BLACK)
    _draw_lines(sheet, data.description, below - 18, 9.5, most=3, bold=False, colour=palette.GREY)


def _draw_lines(sheet: Sheet, text: str, top: float, size: float, *, most: int, bold: bool, colour: str) -> None:
    sheet.colour(colour)
    for number, line in enumerate(sheet.type.wrap(printable(text), sheet.width - 200, size, bold=bold, most=most)):
        sheet.line_of_text(sheet.width / 2, top - number * size * 1.17, line, size, "centre")


def _draw_signatories(sheet: Sheet, signatories: Sequence[tuple[str, str]]) -> None:
    left, right = 70.0, sheet.width - 170
    slot = (right - left) / max(len(signatories), 1)
    for number, (name, office) in enumerate(signatories):
        middle, width = left + slot * (number + 0.5), min(slot - 40, 210)
        sheet.rule(middle - width / 2, 82, middle + width / 2, palette.BLACK, 0.8)
        sheet.text(middle, 86, name, 10.5, bold=True, align="centre", colour=palette.BLACK)
        sheet.text(middle, 69, office, 9, align="centre", colour=palette.GREY)


def _draw_proof(sheet: Sheet, data: CertificateData) -> None:
    widget = QrCodeWidget(data.link, barLevel="M", barBorder=2)
    left, low, right, high = widget.getBounds()
    drawing = Drawing(_QR, _QR, transform=[_QR / (right - left), 0, 0, _QR / (high - low), 0, 0])
    drawing.add(widget)
    x = sheet.width - 62 - _QR
    renderPDF.draw(drawing, sheet.canvas, x, 68)
    sheet.canvas.linkURL(data.link, (x, 68, x + _QR, 68 + _QR))
    sheet.text(x + _QR / 2, 60, "Scan to verify", 6.5, align="centre", colour=palette.GREY)
    sheet.text(x + _QR / 2, 50, data.code, 5.6, bold=True, align="centre", colour=palette.BLACK)
