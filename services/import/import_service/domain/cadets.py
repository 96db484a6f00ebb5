"""Cadets as they can be imported and changed in bulk: columns, lengths, vocabulary. SQL is rotc's."""

from __future__ import annotations

from dataclasses import replace

from import_service.domain.columns import Column, Kind, Need
from import_service.domain.entity import Entity

#: As the app writes them.
YEARS = {"1st year": "1", "2nd year": "2", "3rd year": "3", "4th year": "4", "5th year": "5"}
STATUSES = {word.lower(): word for word in ("Ongoing", "Completed", "Incomplete", "Failed", "Drop")}

_PROFILE = (
    Column("first_name", need=Need.TO_CREATE, longest=255, aliases=("given name",)),
    Column("last_name", need=Need.TO_CREATE, longest=255, aliases=("surname", "family name")),
    Column("middle_name", longest=255),
    Column("suffix_name", longest=50, aliases=("suffix",)),
    Column("company", longest=50),
    Column("platoon", longest=50),
    Column("course", longest=255),
    Column("year_level", Kind.INTEGER, least=1, most=5, vocabulary=YEARS, aliases=("year",)),
    Column("status", vocabulary=STATUSES, longest=50),
    Column("contact_number", Kind.DIGITS, longest=50, aliases=("contact", "phone", "mobile")),
    Column("email", Kind.EMAIL, longest=254, aliases=("email address",)),
    Column("birthdate", Kind.DATE, aliases=("birth date", "date of birth")),
    Column("birthplace", longest=255, aliases=("place of birth",)),
    Column("age", Kind.INTEGER, least=0, most=150),
    Column("height", Kind.DIGITS, longest=50),
    Column("weight", Kind.DIGITS, longest=50),
    Column("blood_type", longest=10),
    Column("address"),
    Column("civil_status", longest=50),
    Column("nationality", longest=100),
    Column("gender", longest=20, aliases=("sex",)),
    Column("language_spoken", longest=255, aliases=("languages spoken",)),
    Column("combat_boots_size", Kind.DIGITS, longest=20),
    Column("uniform_size", Kind.DIGITS, longest=20),
    Column("bullcap_size", Kind.DIGITS, longest=20),
    Column("facebook_link"),
    Column("rotc_unit", longest=255),
    Column("mobilization_center", longest=255),
)
_OURS = frozenset({"id", "is_archived", "is_profile_completed", "created_at", "profile_pic"})

CADETS = Entity(
    name="cadets",
    columns=(
        Column(
            "student_id",
            Kind.DIGITS,
            need=Need.ALWAYS,
            shortest=3,
            longest=50,
            aliases=("student no", "student number", "studentid no"),
        ),
        *_PROFILE,
    ),
    key=("student_id",),
    protected=_OURS,
)

#: What `bulk_update_cadets` may set of a cadet that exists: all of the above but who the cadet is.
CADET_UPDATES = Entity(
    name="cadets",
    columns=(
        Column("cadet_id", Kind.INTEGER, need=Need.ALWAYS, least=1),
        # A null would empty a column that has no null.
        *(replace(column, need=Need.TO_CREATE) if column.name == "status" else column for column in _PROFILE),
    ),
    key=("cadet_id",),
    protected=_OURS | {"student_id"},
    strict=True,
    clears=True,
)
