"""The short form of tests/load/ocr_bench.py: a letter that lies wrongly is read as well as one that does not."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from muster.adapters.processes import ChildDied, ProcessCompute
from muster.contracts.errors import ConfigurationError
from muster.testing import wait_until
from ocr_service.domain.languages import NoLanguage, choose
from ocr_service.domain.reading import Reading, reading_of
from ocr_service.domain.recognition import recognise
from ocr_service.domain.tilt import find_tilt
from ocr_service.domain.wording import clean, join_pages, whole_confidence
from ocr_service.pages import read_page
from ocr_service.tesseract import PageTookTooLong, Tesseract, find_tesseract
from ocr_service.testing.damage import askew, photographed, turned
from ocr_service.testing.files import encoded, scanned
from ocr_service.testing.letters import TEXTS, accuracy, draw
from PIL import Image

LETTER = TEXTS[0]


@pytest.fixture(scope="module")
def tesseract() -> Tesseract:
    return find_tesseract("", "", 120.0)


@pytest.mark.parametrize(
    "harm",
    [
        lambda page: page,
        lambda page: turned(page, 90),
        lambda page: turned(page, 180),
        lambda page: turned(page, 270),
        lambda page: askew(page, 4),
        lambda page: askew(turned(page, 90), -3),
    ],
    ids=["upright", "turned 90", "turned 180", "turned 270", "askew 4", "turned 90, askew -3"],
)
def test_nearly_every_word_is_read_whichever_way_the_letter_lies(
    tesseract: Tesseract, harm: Callable[[Image.Image], Image.Image]
) -> None:
    found = recognise(harm(draw(LETTER, 16)), tesseract.reader("eng"))

    assert accuracy(LETTER, found.text) >= 0.95
    assert found.confidence > 80


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_letter_in_small_writing_photographed_on_a_table_is_read_in_one_pass(tesseract: Tesseract, seed: int) -> None:
    reader, looks = tesseract.reader("eng"), list[Image.Image]()

    def look(page: Image.Image) -> Reading:
        looks.append(page)
        return reader(page)

    found = recognise(photographed(draw(LETTER, 14), seed), look)

    assert accuracy(LETTER, found.text) >= 0.95
    assert len(looks) == 1


@pytest.mark.parametrize("degrees", [-11.0, -2.0, 0.0, 0.5, 7.0])
@pytest.mark.parametrize("quarter", [0, 90, 180, 270])
def test_the_tilt_is_found_to_a_fifth_of_a_degree(degrees: float, quarter: int) -> None:
    tilt = find_tilt(turned(askew(draw(LETTER, 20), degrees), quarter))

    assert tilt.sideways == (quarter in (90, 270))
    assert tilt.degrees == pytest.approx(-degrees, abs=0.21)
    assert 12 <= tilt.line_height <= 18


def test_an_empty_page_has_no_tilt_and_no_words(tesseract: Tesseract) -> None:
    page = Image.new("L", (600, 800), 255)

    assert find_tilt(page) == (False, 0.0, 0.0)
    assert recognise(page, tesseract.reader("eng")).text == ""


def test_lines_and_paragraphs_stay_apart_and_long_words_weigh_more() -> None:
    table: dict[str, list[Any]] = {
        "block_num": [1, 1, 1, 1, 2],
        "par_num": [1, 1, 1, 1, 1],
        "line_num": [0, 1, 1, 2, 1],
        "conf": [-1, 100, 100, 40, 100],
        "text": ["", "|", "ask", "for it", " "],
    }

    reading = reading_of(table)

    assert (reading.text, reading.words) == ("I ask\nfor it", 3)
    assert reading.confidence == pytest.approx((4 * 100 + 6 * 40) / 10)


def test_texts_are_cleaned_and_joined_and_confidence_is_weighted_by_length() -> None:
    assert clean("a\x00b \n\ud800c\r\t") == "ab\nc"
    assert join_pages(["one", "", "two"]) == "one\n\ntwo"
    assert whole_confidence([("a" * 9, 100.0), ("b", 0.0), ("", 50.0)]) == 90.0
    assert whole_confidence([]) == 0.0


def test_languages_are_chosen_from_what_is_installed() -> None:
    assert choose("eng+fil", {"eng", "fil"}) == ("eng+fil", None)
    assert choose("fil", {"eng"}).language == "eng"
    assert choose("deu+fil", {"eng", "deu"}).language == "deu"
    with pytest.raises(NoLanguage):
        choose("fil", {"deu"})


def test_a_page_that_takes_too_long_says_so() -> None:
    quick = find_tesseract("", "", 0.001)

    with pytest.raises(PageTookTooLong, match=r"within 0\.001 s"):
        recognise(draw(LETTER, 20), quick.reader("eng"))


def test_a_wrong_setting_is_named_before_any_task_runs(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="TESSERACT_CMD"):
        find_tesseract("/nonexistent/tesseract", "", 1.0)
    with pytest.raises(ConfigurationError, match="TESSDATA_PREFIX"):
        find_tesseract("", str(tmp_path), 1.0)


async def test_a_killed_reading_takes_its_tesseract_along(tesseract: Tesseract, tmp_path: Path) -> None:
    marker = tmp_path / "started"
    slow = tmp_path / "slow-tesseract"
    slow.write_text(
        f'#!/bin/sh\n[ "$1" = --version ] && exec {tesseract.command} --version\necho $$ > {marker}\nexec sleep 600\n'
    )
    slow.chmod(0o755)
    stuck = Tesseract(str(slow), tesseract.data, tesseract.languages, 600.0)
    compute = ProcessCompute(1)
    reading = asyncio.create_task(compute.run(read_page, encoded(draw("stuck", 24)), 1, stuck, "eng"))
    try:
        await wait_until(lambda: marker.exists() and marker.read_text().strip() != "", "Tesseract runs", 60)
        process = psutil.Process(int(marker.read_text()))

        reading.cancel()
        with pytest.raises((asyncio.CancelledError, ChildDied)):
            await reading

        await wait_until(lambda: not _lives(process), "Tesseract is gone", 20)
    finally:
        await compute.close()


def _lives(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


#: Reads pages as a child process does, and prints its own peak in MB.
PEAK = """
import re, resource, sys
from pathlib import Path
from ocr_service.pages import count_pages, read_page
from ocr_service.tesseract import find_tesseract
data = Path(sys.argv[1]).read_bytes()
tesseract = find_tesseract("", "", 120.0)
assert count_pages(data) == 50
for number in (1, 50):
    assert read_page(data, number, tesseract, "eng").source == "ocr"
# Not RUSAGE_SELF: what this process was before it became Python (a copy of a large pytest) counts there too.
own = int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
print((own + resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) // 1024)
"""


def test_a_scan_of_fifty_pages_is_read_page_by_page_within_600_mb(tmp_path: Path) -> None:
    page = Image.new("L", (2480, 3508), 255)
    page.paste(draw("Dear Sir:", 48), (300, 300))
    scan = tmp_path / "scan.pdf"
    scan.write_bytes(scanned([page.convert("1")] * 50, dpi=300))

    told = subprocess.run(  # noqa: S603  our own words
        [sys.executable, "-c", PEAK, str(scan)], check=True, capture_output=True, text=True
    )

    assert int(told.stdout) <= 600
