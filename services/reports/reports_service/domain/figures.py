"""How numbers, dates and names are written in every report. Nothing is computed from them."""

from __future__ import annotations

import math
from datetime import date

NONE = "–"
_NEARLY = 1e-6  # hundredths: what a float may lack of the exact value


def points(value: float) -> str:
    """Two decimals, cut off and not rounded: a 74.999 that fails must not read 75.00."""
    return f"{math.floor(value * 100 + _NEARLY) / 100:.2f}"


def score(value: float | None) -> str:
    """As it was entered, at most two decimals; 0 is "0", only what is missing is a dash."""
    if value is None or math.isnan(value):
        return NONE
    return f"{value:.2f}".rstrip("0").rstrip(".")


def percent(part: int, whole: int) -> str:
    """Such as "87.5 %"; a dash when there is nothing to compare with."""
    return f"{100 * part / whole:.1f} %" if whole else NONE


def day(value: date) -> str:
    """Such as "05 Jan 2026"."""
    return f"{value:%d %b %Y}"


def words(value: object) -> str:
    """Any field of a form; a dash when it is empty."""
    if isinstance(value, date):
        return day(value)
    text = "" if value is None else str(value).strip()
    return text or NONE


def full_name(last: str, first: str, middle: str | None, suffix: str | None) -> str:
    """Such as "Dela Cruz, Juan Santos Jr."."""
    given = " ".join(part.strip() for part in (first, middle, suffix) if part and part.strip())
    return ", ".join(part for part in (last.strip(), given) if part)


def group_name(company: str | None, platoon: str | None) -> str:
    """Such as "Alpha, 1st Platoon"."""
    named = [part.strip() for part in (company, platoon) if part and part.strip()]
    return ", ".join(named) or "No company"
