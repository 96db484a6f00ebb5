"""How a cadet's grade is computed from what is stored of it, and transmuted. Pure; reading the rows is not done here.

The formula and the table are the unit's (its web application computed them; the backend never did):

    attendance = present / training days * 30
    aptitude   = (100 + merits - demerits, within 0..100) * 0.30
    subject    = (prelim + midterm + final) / 300 * 40
    grade      = attendance + aptitude + subject

Nothing is rounded before the table is asked: 74.999 fails. Next to a border fractions decide, where floats would let a
grade of just 75 fail by the 14th decimal.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated, TypeVar

import msgspec

from rotc.errors import DamagedGradingRules

FULL = 100
#: So near to a border (points) floats are not trusted; their error is below a billionth of this.
NEAR = 1e-6
_EXAMS = 3
Number = TypeVar("Number", float, Fraction)
_ABOVE_ZERO = Annotated[float, msgspec.Meta(ge=0, le=FULL)]


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of the table: grades of at least `minimum` (0..100) and below the line above."""

    minimum: _ABOVE_ZERO
    transmuted: float
    letter: Annotated[str, msgspec.Meta(min_length=1, max_length=20)]
    passed: bool = True

    @property
    def remarks(self) -> str:
        return "Passed" if self.passed else "Failed"


_UNIT_TABLE = (
    Step(95, 1.00, "A"),
    Step(90, 1.50, "A"),
    Step(85, 2.00, "B"),
    Step(80, 2.50, "B"),
    Step(75, 3.00, "C"),
    Step(0, 5.00, "Failure", passed=False),
)


class GradingRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Weights in points, together 100, and the table, best line first. The defaults are the unit's."""

    attendance: _ABOVE_ZERO = 30
    aptitude: _ABOVE_ZERO = 30
    subject: _ABOVE_ZERO = 40
    table: tuple[Step, ...] = _UNIT_TABLE

    def __post_init__(self) -> None:
        if not math.isclose(self.attendance + self.aptitude + self.subject, FULL):
            raise ValueError(f"the weights must add up to {FULL}")
        minimums = [step.minimum for step in self.table]
        if not minimums or minimums != sorted(set(minimums), reverse=True) or minimums[-1] != 0:
            raise ValueError("the table's minimums must fall from line to line, down to 0")

    @classmethod
    def parse(cls, text: str | None) -> GradingRules:
        """The rules written as one JSON object; the unit's own when there is no text.

        Raises:
            DamagedGradingRules: it is not JSON, or no such rules; the message says which part.
        """
        if text is None or not text.strip():
            return cls()
        try:
            return msgspec.json.decode(text, type=cls)
        except (msgspec.DecodeError, UnicodeError, ValueError) as error:
            raise DamagedGradingRules(str(error)) from error


@dataclass(frozen=True, slots=True)
class Standing:
    """What is stored of one cadet. Counts are whole numbers; scores are 0..100, None where no exam was taken."""

    attendance_present: int = 0
    merit_points: int = 0
    demerit_points: int = 0
    prelim: float | None = None
    midterm: float | None = None
    final: float | None = None
    #: cadets.status; those of `WITHOUT_GRADE` get no grade.
    status: str | None = None


@dataclass(frozen=True, slots=True)
class Grade:
    """A computed grade. `transmuted` and `letter` are None for a cadet without one; `percentage` is always there."""

    attendance: float
    aptitude: float
    subject: float
    #: 0..100, the nearest float to the exact value.
    percentage: float
    transmuted: float | None
    letter: str | None
    remarks: str

    @property
    def passed(self) -> bool:
        return self.remarks == "Passed"


#: Status as stored (in small letters) -> what stands in place of a grade. Both the short and the long words are in use.
WITHOUT_GRADE: Mapping[str, str] = {
    "inc": "Incomplete", "incomplete": "Incomplete",
    "do": "Dropped", "drop": "Dropped", "dropped": "Dropped",
    "t": "Deferred", "deferred": "Deferred",
}  # fmt: skip


def compute_grade(standing: Standing, training_days: int, rules: GradingRules | None = None) -> Grade:
    """The grade of one cadet.

    Args:
        training_days: how many there were in all; with none, attendance counts nothing.

    Attendance is bounded by its weight: a count above the number of training days (entered by hand) earns no extra.
    """
    rules = rules or GradingRules()
    attendance, aptitude, subject = _parts(standing, training_days, rules, float)
    percentage = min(max(attendance + aptitude + subject, 0.0), float(FULL))
    excuse = WITHOUT_GRADE.get((standing.status or "").strip().lower())
    step = _step(standing, training_days, rules, percentage)
    return Grade(
        attendance=attendance,
        aptitude=aptitude,
        subject=subject,
        percentage=percentage,
        transmuted=None if excuse else step.transmuted,
        letter=None if excuse else step.letter,
        remarks=excuse or step.remarks,
    )


def _step(standing: Standing, training_days: int, rules: GradingRules, percentage: float) -> Step:
    """The line of the table; next to a border the grade is computed again, in fractions."""
    if any(abs(percentage - step.minimum) < NEAR for step in rules.table):
        exact = sum(_parts(standing, training_days, rules, Fraction), Fraction(0))
        return next(step for step in rules.table if exact >= Fraction(step.minimum))
    return next(step for step in rules.table if percentage >= step.minimum)


def _parts(
    standing: Standing, training_days: int, rules: GradingRules, number: type[Number]
) -> tuple[Number, Number, Number]:
    """Points for attendance, aptitude and subject, in floats or in fractions."""
    present = min(max(standing.attendance_present, 0), training_days)
    aptitude = min(max(FULL + standing.merit_points - standing.demerit_points, 0), FULL)
    exams = sum((number(_score(score)) for score in (standing.prelim, standing.midterm, standing.final)), number(0))
    return (
        number(present) * number(rules.attendance) / max(training_days, 1),
        number(aptitude) * number(rules.aptitude) / FULL,
        exams * number(rules.subject) / (_EXAMS * FULL),
    )


def distribution(grades: Iterable[Grade], rules: GradingRules | None = None) -> dict[str, int]:
    """How many grades fall on each line of the table ("1.00", "1.50" ...), then each remark that stands for none."""
    counts = {f"{step.transmuted:.2f}": 0 for step in (rules or GradingRules()).table}
    for grade in grades:
        line = grade.remarks if grade.transmuted is None else f"{grade.transmuted:.2f}"
        counts[line] = counts.get(line, 0) + 1
    return counts


def _score(score: float | None) -> float:
    """An exam's points; a missing one is 0, and so is what a database may hold besides numbers (NaN)."""
    return 0.0 if score is None or math.isnan(score) else min(max(score, 0.0), float(FULL))
