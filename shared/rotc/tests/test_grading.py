"""Grades worked by hand, the borders of the table, and what must hold for every cadet."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rotc.errors import DamagedGradingRules
from rotc.grading import Grade, GradingRules, Standing, compute_grade, distribution

counts = st.integers(0, 400)
scores = st.none() | st.floats(-50, 150) | st.just(math.nan)
standings = st.builds(
    Standing, counts, counts, counts, scores, scores, scores, st.sampled_from([None, "Ongoing", "Drop", "INC"])
)
days = st.integers(0, 60)


def hand(standing: Standing, training_days: int) -> tuple[float, float | None, str]:
    grade = compute_grade(standing, training_days)
    return round(grade.percentage, 6), grade.transmuted, grade.remarks


@pytest.mark.parametrize(
    ("standing", "training_days", "expected"),
    [
        # 15/15*30 + 100*.3 + 300/300*40
        (Standing(15, 0, 0, 100, 100, 100), 15, (100.0, 1.0, "Passed")),
        # 12/15*30=24, (100+5-10)*.3=28.5, (80+75.5+90)/300*40=32.733333
        (Standing(12, 5, 10, 80, 75.5, 90), 15, (85.233333, 2.0, "Passed")),
        # 10/15*30=20, 100*.3=30 (merits do not lift it above), (70+60+0)/300*40=17.333333
        (Standing(10, 40, 3, 70, 60, None), 15, (67.333333, 5.0, "Failed")),
        # no training day yet: 0 + 30 + 40*0.9
        (Standing(0, 0, 0, 90, 90, 90), 0, (66.0, 5.0, "Failed")),
        # demerits eat all aptitude: 30 + 0 + 40*0.5
        (Standing(15, 0, 250, 50, 50, 50), 15, (50.0, 5.0, "Failed")),
        (Standing(15, 0, 0, 0, 0, 0), 15, (60.0, 5.0, "Failed")),
        (Standing(15, 0, 0, 90, 90, 90, "Incomplete"), 15, (96.0, None, "Incomplete")),
        (Standing(15, 0, 0, 90, 90, 90, " DO "), 15, (96.0, None, "Dropped")),
        (Standing(15, 0, 0, 90, 90, 90, "T"), 15, (96.0, None, "Deferred")),
    ],
)
def test_a_grade_worked_by_hand(
    standing: Standing, training_days: int, expected: tuple[float, float | None, str]
) -> None:
    assert hand(standing, training_days) == expected


@pytest.mark.parametrize(
    ("exam", "transmuted", "letter"),
    [(87.5, 1.0, "A"), (87.4999, 1.5, "A"), (75, 1.5, "A"), (62.5, 2.0, "B"), (50, 2.5, "B"), (37.5, 3.0, "C"),
     (37.4975, 5.0, "Failure")],
)  # fmt: skip
def test_a_border_belongs_to_the_better_line_and_nothing_is_rounded_towards_it(
    exam: float, transmuted: float, letter: str
) -> None:
    grade = compute_grade(Standing(15, 0, 0, exam, exam, exam), 15)

    assert (grade.transmuted, grade.letter) == (transmuted, letter)


@given(st.integers(1, 30), st.data(), st.sampled_from([75, 80, 85, 90, 95]))
def test_a_grade_of_exactly_a_border_reaches_it_whatever_parts_it_is_made_of(
    training: int, data: st.DataObject, border: int
) -> None:
    # Enough attendance and aptitude that exams of at most 40 points can make up the rest.
    present = data.draw(st.integers(math.ceil(Fraction(training * (border - 70), 30)), training))
    rest = Fraction(border) - Fraction(30 * present, training)
    fewest, most = math.ceil((rest - 40) * 100 / 30), math.floor(rest * 100 / 30)
    aptitude = data.draw(st.integers(max(0, fewest), min(100, most)))
    exams = float((rest - Fraction(30 * aptitude, 100)) * 300 / 40)
    scores = (min(exams, 100.0), min(max(exams - 100, 0.0), 100.0), max(exams - 200, 0.0))
    exact = Fraction(30 * present, training) + Fraction(30 * aptitude, 100) + sum(map(Fraction, scores)) * 40 / 300

    grade = compute_grade(Standing(present, 0, 100 - aptitude, *scores), training)

    line = next(step for step in GradingRules().table if exact >= step.minimum)
    assert (grade.transmuted, grade.letter) == (line.transmuted, line.letter)


@given(standings, days)
def test_a_grade_lies_between_0_and_100_and_its_parts_within_their_weights(standing: Standing, training: int) -> None:
    grade = compute_grade(standing, training)

    assert 0 <= grade.percentage <= 100
    assert 0 <= grade.attendance <= 30
    assert 0 <= grade.aptitude <= 30
    assert 0 <= grade.subject <= 40
    assert grade.percentage == pytest.approx(grade.attendance + grade.aptitude + grade.subject)


@given(standings, days, st.integers(1, 50))
def test_more_merit_never_lowers_a_grade(standing: Standing, training: int, more: int) -> None:
    better = Standing(**{name: getattr(standing, name) for name in Standing.__slots__}
                      | {"merit_points": standing.merit_points + more})  # fmt: skip

    assert compute_grade(better, training).percentage >= compute_grade(standing, training).percentage


@given(standings, days)
def test_who_is_dropped_or_incomplete_has_no_grade_and_who_is_not_has_one(standing: Standing, training: int) -> None:
    grade = compute_grade(standing, training)

    assert (grade.transmuted is None) == (standing.status in ("Drop", "INC"))


def test_the_distribution_names_every_line_of_the_table_and_each_reason_for_none() -> None:
    grades = [
        compute_grade(Standing(15, 0, 0, exam, exam, exam, status), 15)
        for exam, status in ((100, None), (90, None), (0, None), (100, "Drop"))
    ]

    assert distribution(grades) == {"1.00": 2, "1.50": 0, "2.00": 0, "2.50": 0, "3.00": 0, "5.00": 1, "Dropped": 1}


def test_other_rules_are_read_from_json() -> None:
    rules = GradingRules.parse(
        '{"attendance": 20, "aptitude": 20, "subject": 60, "table": ['
        '{"minimum": 60, "transmuted": 1, "letter": "P"},'
        '{"minimum": 0, "transmuted": 5, "letter": "F", "passed": false}]}'
    )

    grade = compute_grade(Standing(1, 0, 0, 50, 50, 50), 1, rules)

    assert (grade.percentage, grade.transmuted, grade.letter) == (70.0, 1.0, "P")
    assert GradingRules.parse(None) == GradingRules.parse("  ") == GradingRules()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "malformed|truncated"),
        ('{"attendance": 50}', "add up to 100"),
        ('{"attendance": -1, "aptitude": 61}', ">= 0"),
        ('{"table": []}', "down to 0"),
        ('{"table": [{"minimum": 0, "transmuted": 5, "letter": "F"}, {"minimum": 75, "transmuted": 3, "letter": "C"}]}',
         "fall from line to line"),
        ('{"tables": []}', "tables"),
    ],
)  # fmt: skip
def test_rules_that_cannot_be_meant_are_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(DamagedGradingRules, match=f"(?i){reason}"):
        GradingRules.parse(text)


def test_a_grade_is_a_plain_value() -> None:
    assert compute_grade(Standing(), 15) == Grade(0.0, 30.0, 0.0, 30.0, 5.0, "Failure", "Failed")
