"""Draws letters of invented cadets and says how much of one was read. Harm done to the picture is in damage.py."""

from __future__ import annotations

import difflib

from PIL import Image, ImageDraw, ImageFont

MARGIN = 60
_LETTERS_PER_LINE = 48
_INK, _PAPER = 20, 255

_FEVER = """Mindanao State University
Sultan Naga Dimaporo, Lanao del Norte

15 October 2026

The Commandant
1002nd Community Defense Center

Dear Sir:

I respectfully request to be excused from the training day of 10 October 2026. On the evening before, I was brought to \
the district hospital with a high fever and was advised by the attending physician to rest for three days. The medical \
certificate with its number 48213 is attached to this letter.

My section leader was informed by telephone at 5:45 in the morning. I will make up for the missed instruction on map \
reading and for the drill of the second platoon at a time that you decide. I understand that three absences without an \
accepted reason mean a failing grade for the semester.

Thank you for your kind consideration.

Very respectfully yours,

Juan Miguel Santos
Cadet, Bravo Company, Second Platoon
Student number 2023-01745"""

_FERRY = """Office of the Barangay Captain
Barangay Poblacion, Kapatagan

22 November 2026

To the Training Officer

Sir or Madam:

This letter explains why our neighbor, Cadet Aisha Macaraeg, could not attend the formation of 21 November 2026. The \
ferry that she takes every Saturday did not leave the harbor because of a storm warning. The coast guard gave its \
first permission to sail at 2:30 in the afternoon, when the training had already ended.

Her family lives on the other shore and there is no road across the bay. She waited at the pier from 4 until 11 with \
other students, whose names can be supplied. A copy of the public notice, number 117, is enclosed, and so is the \
ticket that the company refunded the next day.

We hope that you will kindly accept this reason and allow her to complete the missed exercise.

Sincerely,

Rodrigo Villanueva
Barangay Captain
Telephone 0917 555 0142"""

TEXTS = (_FEVER, _FERRY)


def draw(text: str, size: int) -> Image.Image:
    """A letter (mode L) in writing of `size` pixels, its lines broken at about 75 letters."""
    font = ImageFont.load_default(size=size)
    width = size * _LETTERS_PER_LINE + 2 * MARGIN
    lines = [line for paragraph in text.split("\n") for line in _broken(paragraph, font, width - 2 * MARGIN)]
    page = Image.new("L", (width, int(len(lines) * size * 1.5) + 2 * MARGIN), _PAPER)
    pen = ImageDraw.Draw(page)
    for number, line in enumerate(lines):
        pen.text((MARGIN, MARGIN + number * size * 1.5), line, fill=_INK, font=font)
    return page


def _broken(paragraph: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> list[str]:
    lines = [""]
    for word in paragraph.split(" "):
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def accuracy(written: str, read: str) -> float:
    """Share of the words of a letter that were read exactly and in order, 0 to 1."""
    expected, found = written.split(), read.split()
    matcher = difflib.SequenceMatcher(None, expected, found, autojunk=False)
    return sum(block.size for block in matcher.get_matching_blocks()) / len(expected)
