"""Every kind of report as it is drawn: read back by another library, its text equals the data."""

from __future__ import annotations

import io
import unicodedata
from datetime import date, timedelta
from typing import Any

import pypdfium2
import pytest
from PIL import Image
from reports_service.domain.attendance import AttendanceData, CadetLine, Counts, DayLine, render_attendance
from reports_service.domain.certificate import CertificateData, render_certificate
from reports_service.domain.document import Rendered
from reports_service.domain.figures import full_name, points, score
from reports_service.domain.grades import GradeLine, GradesData, render_grades
from reports_service.domain.letterhead import Unit
from reports_service.domain.photo import small_photo
from reports_service.domain.profile import Attended, ProfileData, render_profile
from reports_service.domain.sheet import About

UNIT = Unit("Mindanao State University", "1002nd CDC", "MSU-SND ROTC", "1st Semester, S.Y. 2026-2027")
ABOUT = About("A Report", "Its subject", "MSU-SND ROTC", "05 Jan 2026 18:00 (Asia/Manila)")
NAMES = [
    "Dela Cruz, Juan Santos Jr.",
    "Peña, Iñigo <b>Bold</b> & Sons",
    "Macapagal, Ángel Ñoño",
    "محمد بن سلمان",
    "李小龍",
    "Smith ★ ✓",
    "שלום כהן",
    "สมชาย ที่น้ำ",
    "សុខា ខ្មែរ",
    "क्षत्रिय किरण",
    "கௌரி",
    "ሰላም",
    "Cruz 😀 👍🏽 👩‍👩‍👧 🇵🇭",
    "𠮷田",
]


def pages_of(report: Rendered) -> list[str]:
    document = pypdfium2.PdfDocument(report.data)
    try:
        # Arabic comes as the joined forms that are drawn; what they stand for is the name.
        return [unicodedata.normalize("NFKC", page.get_textpage().get_text_range()) for page in document]
    finally:
        document.close()


def grade_line(number: int, name: str = "Cruz, Ana", company: str = "Alpha", **more: Any) -> GradeLine:
    line = GradeLine(
        f"2026-{number:05d}", name, company, "1st Platoon", 13, 5, 2, 85.5, 90.0, 77.25,
        26.0, 30.0, 33.7, 89.7, 2.0, "B", "Passed",
    )  # fmt: skip
    return line._replace(**more)


def grades(lines: list[GradeLine]) -> GradesData:
    return GradesData(ABOUT, UNIT, "All companies", 15, (30, 30, 40), {"2.00": len(lines), "5.00": 0}, lines)


def test_every_row_of_a_long_report_is_there_once_under_a_header_on_each_page() -> None:
    lines = [grade_line(number, company="Alpha" if number < 60 else "Bravo") for number in range(130)]

    report = render_grades(grades(lines))
    pages = pages_of(report)

    assert (report.rows, report.pages) == (130, len(pages))
    assert len(pages) > 3
    for number, page in enumerate(pages, 1):
        assert f"Page {number} of {len(pages)}" in page
        assert "Student ID" in page
    text = "\n".join(pages)
    assert [text.count(line.student_id) for line in lines] == [1] * 130
    assert "Alpha, 1st Platoon (continued)" in text


@pytest.mark.parametrize("name", NAMES)
def test_a_name_in_any_script_is_read_back_as_it_was_given(name: str) -> None:
    [page] = pages_of(render_grades(grades([grade_line(1, name)])))

    assert unicodedata.normalize("NFKC", name) in page


def test_a_character_that_no_font_has_is_seen_as_a_gap_and_breaks_nothing() -> None:
    baybayin = "ᜊᜌ"
    lines = [grade_line(1, f"Cruz {baybayin}\x00\ud800 Ana"), grade_line(2, "Reyes, Jo"), grade_line(3, "\u200e")]

    [page] = pages_of(render_grades(grades(lines)))

    assert "Reyes, Jo" in page
    assert f"Cruz {baybayin} Ana" in page, "copied, the gap is the text again"


def test_zero_is_printed_as_zero_and_only_what_is_missing_as_a_dash() -> None:
    [page] = pages_of(
        render_grades(grades([grade_line(7, present=0, merits=0, demerits=0, prelim=0.0, midterm=None, final=0)]))
    )

    row = next(line for line in page.splitlines() if "2026-00007" in line)
    assert row == "1 2026-00007 Cruz, Ana 0 0 0 0 – 0 26.00 30.00 33.70 89.70 2.00 Passed"


@pytest.mark.parametrize(
    ("value", "printed"),
    [(74.999, "74.99"), (75.0, "75.00"), (74.99999999999999, "75.00"), (0.0, "0.00"), (0.29, "0.29")],
)  # fmt: skip
def test_computed_points_are_cut_off_so_that_a_failed_grade_never_reads_as_passed(value: float, printed: str) -> None:
    assert points(value) == printed


@pytest.mark.parametrize(
    ("value", "printed"), [(0.0, "0"), (85.5, "85.5"), (100.0, "100"), (None, "–"), (float("nan"), "–")]
)
def test_scores_are_printed_as_they_were_entered(value: float | None, printed: str) -> None:
    assert score(value) == printed


def test_a_name_is_put_together_from_the_parts_that_are_there() -> None:
    assert full_name("Dela Cruz", "Juan", "Santos", "Jr.") == "Dela Cruz, Juan Santos Jr."
    assert full_name("Cruz", "Ana", " ", None) == "Cruz, Ana"


def test_a_very_long_name_is_broken_into_lines_and_whole() -> None:
    name = "Maximiliano Buenaventura " * 20

    text = " ".join(pages_of(render_grades(grades([grade_line(1, name.strip())])))[0].split())

    assert text.count("Maximiliano") == text.count("Buenaventura") == 20


def test_attendance_lists_every_day_and_every_cadet_with_percentages() -> None:
    days = [DayLine(date(2026, 1, 3) + timedelta(7 * week), f"Day {week}", Counts(6, 1, 2, 1)) for week in range(80)]
    cadets = [CadetLine(f"S-{n:03d}", NAMES[n % 3], "Alpha", None, Counts(0, 0, 0, n)) for n in range(90)]

    report = render_attendance(AttendanceData(ABOUT, UNIT, "2026", days, cadets))
    text = "\n".join(pages_of(report))

    assert report.rows == 170
    assert all(f"Day {week} 6 1 2 1 10 70.0 %" in text for week in range(80))
    assert all(text.count(f"S-{n:03d}") == 1 for n in range(90))
    assert "0 0 0 0 0 –" in text


def profile(photo: bytes | None = None) -> ProfileData:
    sections = [("Personal data", [("Address", "Purok 3, <Poblacion> " * 12), ("Age", "20"), ("Facebook", "–")])]
    attended = [Attended(date(2026, 1, 3), "Drill & <i>ceremony</i>", "absent")]
    identity = [("Name", NAMES[0]), ("Student ID", "S-1")]
    return ProfileData(
        ABOUT, UNIT, identity, sections, grade_line(1), 15, Counts(0, 0, 0, 1), attended, photo
    )  # fmt: skip


def test_a_profile_shows_person_grade_and_training_days() -> None:
    text = "\n".join(pages_of(render_profile(profile())))

    for shown in (
        NAMES[0],
        "No photo",
        "13 of 15 days present",
        "89.70",
        "2.00 (B)",
        "Drill & <i>ceremony</i>",
        "Absent",
    ):
        assert shown in text
    assert " ".join(text.split()).count("<Poblacion>") == 12


@pytest.mark.parametrize("data", [b"", b"no picture", b"\x89PNG\r\n\x1a\n" + b"\0" * 40])
def test_a_photo_that_cannot_be_read_is_left_out(data: bytes) -> None:
    assert small_photo(data) is None
    assert "No photo" in "\n".join(pages_of(render_profile(profile(data))))


def test_a_photo_is_upright_and_small() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    Image.new("RGB", (1600, 800), "olive").save(file, "JPEG", exif=exif)

    small = small_photo(file.getvalue())

    assert small is not None
    assert Image.open(io.BytesIO(small)).size == (300, 600)
    assert "No photo" not in "\n".join(pages_of(render_profile(profile(file.getvalue()))))


def test_a_certificate_says_who_what_when_and_how_it_can_be_proved() -> None:
    link = "https://rotc.example.org/api/certificates/verify/ABCDEFGHIJKLMNOPQRST"
    data = CertificateData(
        ABOUT, UNIT, NAMES[1], "Parade & <b>Wreath</b>", "Led the guard.", "12 June 2026",
        "ABCDE-FGHIJ-KLMNO-PQRST", link, [("Maj. Reyes", "Commandant"), ("", "Commander")],
    )  # fmt: skip

    report = render_certificate(data)
    [page] = pages_of(report)

    for shown in (NAMES[1], "Parade & <b>Wreath</b>", "Led the guard.", "12 June 2026", data.code, "Maj. Reyes"):
        assert shown in page
    document = pypdfium2.PdfDocument(report.data)
    width, height = document[0].get_size()
    assert width > height
    assert link.encode() in report.data


def test_a_pdf_says_what_it_is_in_which_language_and_where_each_company_begins() -> None:
    lines = [grade_line(number, company="Alpha" if number < 60 else "Bravo") for number in range(130)]
    report = render_grades(grades(lines))

    document = pypdfium2.PdfDocument(report.data)

    told = document.get_metadata_dict()
    assert (told["Title"], told["Subject"], told["Author"]) == ("A Report", "Its subject", "MSU-SND ROTC")
    outline = {entry.get_title(): entry.get_dest().get_index() for entry in document.get_toc()}
    assert outline["Alpha, 1st Platoon"] == 0
    assert outline["Bravo, 1st Platoon"] > 0
    assert b"/Lang (en-PH)" in report.data


def test_pages_are_told_while_they_are_drawn() -> None:
    told: list[tuple[int, int]] = []

    report = render_grades(grades([grade_line(n) for n in range(100)]), lambda page, pages: told.append((page, pages)))

    assert told == [(page, report.pages) for page in range(1, report.pages + 1)]
