"""What became of each row, as a CSV file that a spreadsheet opens without running anything. Storing it is elsewhere."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

HEADER = ("row", "outcome", "record_id", "field", "code", "message")
#: What makes a cell a formula, or hides that it is one.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
#: So that Excel takes it for UTF-8.
_MARK = "\ufeff"

Line = tuple[object, ...]


class Report:
    """A file in the making, a line for each row of an import; for a refused one, a line for each reason."""

    def __init__(self) -> None:
        self._out = io.StringIO()
        self._out.write(_MARK)
        self._writer = csv.writer(self._out, lineterminator="\r\n")
        self._writer.writerow(HEADER)
        self.lines = 0

    def add(self, lines: Iterable[Line]) -> None:
        """Adds values in the order of HEADER."""
        for line in lines:
            self._writer.writerow([_safe(value) for value in line])
            self.lines += 1

    def data(self) -> bytes:
        return self._out.getvalue().encode()


def _safe(value: object) -> object:
    """A text that a spreadsheet would run gets an apostrophe in front, which it shows to nobody."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
