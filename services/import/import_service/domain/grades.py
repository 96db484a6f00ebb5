"""Grades as they can be imported from a file: columns and ranges. SQL is rotc's."""

from __future__ import annotations

from import_service.domain.columns import Column, Kind, Need
from import_service.domain.entity import Entity

#: More points or days than a term can have.
_MOST_POINTS = 10_000
STUDENT_ID = Column(
    "student_id", Kind.DIGITS, need=Need.ALWAYS, shortest=3, longest=50,
    aliases=("student no", "student number", "studentid no"),
)  # fmt: skip


def _count(name: str, *aliases: str) -> Column:
    return Column(name, Kind.INTEGER, least=0, most=_MOST_POINTS, aliases=aliases)


def _score(name: str, *aliases: str) -> Column:
    return Column(name, Kind.NUMBER, least=0, most=100, aliases=aliases)


GRADES = Entity(
    name="grades",
    columns=(
        STUDENT_ID,
        _count("attendance_present", "attendance", "days present"),
        _count("merit_points", "merit", "merits"),
        _count("demerit_points", "demerit", "demerits"),
        _score("prelim_score", "prelim", "prelims", "prelim exam"),
        _score("midterm_score", "midterm", "midterms", "midterm exam"),
        _score("final_score", "final", "finals", "final exam"),
    ),
    key=("student_id",),
    protected=frozenset({"id", "cadet_id"}),
)
