"""Times of day as they stand in sheets of attendance."""

from __future__ import annotations

from datetime import time

import pytest
from import_service.domain.clocks import clock_of


@pytest.mark.parametrize(
    ("text", "clock"),
    [
        ("07:30", time(7, 30)), ("7:30", time(7, 30)), ("07:30:15", time(7, 30, 15)), ("0730", time(7, 30)),
        ("7:30 AM", time(7, 30)), ("7:30pm", time(19, 30)), ("12:05 a.m.", time(0, 5)), ("12:05 PM", time(12, 5)),
        ("2026-01-31T07:30:00Z", time(7, 30)), ("2026-01-31 07:30:00", time(7, 30)), ("23:59:59.5", time(23, 59, 59)),
    ],
)  # fmt: skip
def test_a_time_is_read_however_it_is_written(text: str, clock: time) -> None:
    assert clock_of(text) == clock


@pytest.mark.parametrize("text", ["24:00", "7:60", "13:00 PM", "0:30 AM", "noon", "7", "7.30", "７:30", "-1:00"])
def test_what_is_no_time_is_none(text: str) -> None:
    assert clock_of(text) is None
