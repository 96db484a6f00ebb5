"""How long a grades report takes and how much memory: `python tests/load/reports_bench.py [--naive ROWS]`.

Each size is drawn in a process of its own, so that its peak is its own; made-up cadets, no database. Seconds are of one
core; those of the fonts, which any number of rows needs, are part of them and also told. The naive way (everything
in one Table of reportlab, Latin letters only) is drawn in the same run with fewer rows: it grows with their square.
Exit code 1 when 20,000 rows need more than 4 s or 300 MB, or a row of them, fonts aside, 1.5 times one of 1,000.
"""

from __future__ import annotations

import argparse
import io
import multiprocessing
import re
import sys
import time
from collections.abc import Callable
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

from reportlab.lib.pagesizes import A4, landscape
from reportlab.platypus import SimpleDocTemplate, Table
from reports_service.domain.grades import GradeLine, GradesData, render_grades
from reports_service.domain.letterhead import Unit
from reports_service.domain.sheet import About

SIZES = (1_000, 5_000, 20_000)
MOST_SECONDS, MOST_MB, MOST_GROWTH = 4.0, 300.0, 1.5
_REPEATS = 3
_PEAK_KB = re.compile(r"VmHWM:\s+(\d+)")
_SURNAMES = ("Dela Cruz", "Peña", "Mangondato", "Ñuñez", "Macarambon", "Bonifacio", "李", "محمد")
_COMPANIES = ("Alpha", "Bravo", "Charlie", "Delta")


class Measured(NamedTuple):
    """One drawing; memory is the peak of its whole process, `fonts` the part of the seconds that any report takes."""

    rows: int
    pages: int
    seconds: float
    fonts: float
    memory_mb: float
    file_mb: float

    @property
    def milliseconds_per_row(self) -> float:
        return 1000 * (self.seconds - self.fonts) / self.rows


def lines(rows: int) -> list[GradeLine]:
    """Cadets with names that differ, as real ones do."""
    per_company = -(-rows // len(_COMPANIES))
    return [
        GradeLine(
            f"2026-{n:05d}", f"{_SURNAMES[n % 8]}, Juan {n} Santos", _COMPANIES[n // per_company],
            f"{1 + n // 500 % 2} Platoon", n % 16, n % 30, n % 7, float(n % 101), (n * 7 % 1001) / 10, None,
            n % 16 * 30 / 15, 29.1, (n * 13 % 4001) / 100, 50 + (n * 17 % 5000) / 100, 2.0, "B", "Passed",
        )
        for n in range(rows)
    ]  # fmt: skip


def ours(rows: int) -> tuple[bytes, int]:
    unit = Unit("University", "Unit", "Battalion", "1st Semester")
    about = About("Grades Report", "Benchmark", "Unit", "now")
    report = render_grades(GradesData(about, unit, "All", 15, (30, 30, 40), {"2.00": rows}, lines(rows)))
    return report.data, report.pages


def naive(rows: int) -> tuple[bytes, int]:
    """One Table with a repeated header, as a first version would do it."""
    header = ["ID", "Name", "Company", "Platoon", *"0123456789abc"]
    cells = [header, *([str(cell) for cell in line] for line in lines(rows))]
    file = io.BytesIO()
    document = SimpleDocTemplate(file, pagesize=landscape(A4), invariant=1)
    document.build([Table(cells, repeatRows=1)])
    return file.getvalue(), document.page


def measure(draw: Callable[[int], tuple[bytes, int]], rows: int) -> Measured:
    """In a fresh process: the fonts of a small report that has every script, then the report itself."""
    small = len(_SURNAMES)
    first = _timed(draw, small)[0]
    # Fonts of other scripts are made for each report, the Latin ones once per process.
    kept = min(_timed(draw, small)[0] for _ in range(_REPEATS))
    # A short report is drawn a few times: what disturbs one drawing would be a large part of so few rows.
    drawings = [_timed(draw, rows) for _ in range(_REPEATS if rows <= SIZES[0] else 1)]
    took, data, pages = min(drawings, key=itemgetter(0))
    # Not ru_maxrss: what this process was before it became Python (a copy of its parent) counts there too.
    peak = int(_PEAK_KB.findall(Path("/proc/self/status").read_text())[0]) / 1024
    return Measured(rows, pages, took + first - kept, first, peak, len(data) / 2**20)


def _timed(draw: Callable[[int], tuple[bytes, int]], rows: int) -> tuple[float, bytes, int]:
    began = time.process_time()
    data, pages = draw(rows)
    return time.process_time() - began, data, pages


def alone(draw: Callable[[int], tuple[bytes, int]], rows: int) -> Measured:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(measure, (draw, rows))


def show(name: str, one: Measured) -> None:
    print(  # noqa: T201
        f"{name:<6} {one.rows:>7,} rows {one.pages:>5} pages {one.seconds:>7.2f} s (fonts {one.fonts:.2f}) "
        f"{one.milliseconds_per_row:>7.3f} ms/row {one.memory_mb:>5.0f} MB peak {one.file_mb:>6.2f} MB file",
        flush=True,
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--naive", type=int, default=5_000, help="rows of the one-Table way (20,000 take a minute)")
    most = parser.parse_args().naive
    measured = {}
    for rows in SIZES:
        measured[rows] = alone(ours, rows)
        show("ours", measured[rows])
        if rows <= most:
            show("naive", alone(naive, rows))
    largest, growth = (
        measured[SIZES[-1]],
        measured[SIZES[-1]].milliseconds_per_row / measured[SIZES[0]].milliseconds_per_row,
    )
    well = largest.seconds <= MOST_SECONDS and largest.memory_mb <= MOST_MB and growth <= MOST_GROWTH
    verdict = "kept" if well else "BROKEN"
    told = f"{largest.seconds:.2f} s of {MOST_SECONDS:g}, {largest.memory_mb:.0f} MB of {MOST_MB:g}"
    print(f"{verdict}: {told}, a row costs {growth:.2f} times what it does among 1,000")  # noqa: T201
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
