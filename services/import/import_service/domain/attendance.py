"""Attendance as it can be imported from a file: columns and the words for who was there. SQL is rotc's."""

from __future__ import annotations

from import_service.domain.columns import Column, Kind, Need
from import_service.domain.entity import Entity
from import_service.domain.grades import STUDENT_ID

#: By how people write them.
STATUSES = {
    **dict.fromkeys(("present", "p", "1", "yes", "y", "true", "/", "✓", "✔"), "present"),
    **dict.fromkeys(("absent", "a", "0", "no", "n", "false", "x"), "absent"),
    **dict.fromkeys(("late", "l", "tardy", "t"), "late"),
    **dict.fromkeys(("excused", "e", "ex", "excuse"), "excused"),
}

ATTENDANCE = Entity(
    name="attendance_records",
    columns=(
        STUDENT_ID,
        Column("training_day_id", Kind.INTEGER, need=Need.ALWAYS, least=1, aliases=("training day", "day id")),
        Column("status", need=Need.TO_CREATE, vocabulary=STATUSES, longest=20, aliases=("attendance", "remark")),
        Column("time_in", Kind.TIME, aliases=("in", "arrival")),
        Column("time_out", Kind.TIME, aliases=("out", "departure")),
    ),
    key=("training_day_id", "student_id"),
    protected=frozenset({"id", "cadet_id", "created_at"}),
)
