"""What a caller may send to the tasks and what comes back: names, types and ranges. Nothing is done with it here."""

from __future__ import annotations

import datetime
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

LARGEST_ID = 2**31 - 1  # the tables' ids are PostgreSQL integers
MAX_BATCH = 100

ReportType: TypeAlias = Literal["cadet_profile", "grades", "attendance", "certificate"]
Id = Annotated[int, Field(strict=True, ge=1, le=LARGEST_ID)]
#: PostgreSQL holds no NUL in a text.
Text = Annotated[
    str, StringConstraints(strict=True, strip_whitespace=True, min_length=1, max_length=255, pattern=r"^[^\x00]+$")
]


def _only_text(value: object) -> object:
    """A number would be read as seconds since 1970."""
    if isinstance(value, int | float):
        raise ValueError("give a date as text, such as 2026-01-31")
    return value


Day = Annotated[datetime.date, BeforeValidator(_only_text)]


class _Parameters(BaseModel):
    """Unknown names are refused; what was sent is never repeated in an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Filters(_Parameters):
    """What a report is about; which of these a type knows is in FILTERS."""

    cadet_id: Id | None = None
    company: Text | None = None
    platoon: Text | None = None
    #: Part of a name or student id.
    search: Text | None = None
    date_from: Day | None = None
    date_to: Day | None = None
    activity_id: Id | None = None
    cadet_name: Text | None = None


#: Filters of each type, and those of them that it needs.
FILTERS: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "cadet_profile": (frozenset({"cadet_id"}), frozenset({"cadet_id"})),
    "grades": (frozenset({"company", "platoon", "search"}), frozenset()),
    "attendance": (frozenset({"date_from", "date_to", "company", "platoon"}), frozenset()),
    "certificate": (frozenset({"activity_id", "cadet_name"}), frozenset({"activity_id", "cadet_name"})),
}


class GenerateReport(_Parameters):
    """Parameters of generate_pdf_report."""

    report_type: ReportType
    filters: Filters = Filters()
    #: users.id of who gets the report.
    user_id: Id

    @model_validator(mode="after")
    def _fitting_filters(self) -> Self:
        known, needed = FILTERS[self.report_type]
        given = {name for name in self.filters.model_fields_set if getattr(self.filters, name) is not None}
        if foreign := sorted(given - known):
            raise ValueError(f"a {self.report_type} report has no filter {', '.join(foreign)}")
        if missing := sorted(needed - given):
            raise ValueError(f"a {self.report_type} report needs the filter {', '.join(missing)}")
        first, last = self.filters.date_from, self.filters.date_to
        if first and last and first > last:
            raise ValueError("date_from is after date_to")
        return self


class BatchProfiles(_Parameters):
    """Parameters of batch_generate_cadet_pdfs."""

    cadet_ids: Annotated[list[Id], Field(min_length=1, max_length=MAX_BATCH)]
    user_id: Id


class BatchCertificates(_Parameters):
    """Parameters of batch_generate_certificates."""

    activity_id: Id
    cadet_names: Annotated[list[Text], Field(min_length=1, max_length=MAX_BATCH)]
    user_id: Id


class DailyAttendance(_Parameters):
    """Parameters of generate_daily_attendance_report."""

    #: Today in Asia/Manila when null.
    date: Day | None = None


class Report(BaseModel):
    """Result of generate_pdf_report; `rows` counts cadets, or days and cadets."""

    url: str
    public_id: str
    report_type: str
    pages: int
    rows: int
    generated_at: datetime.datetime


class BatchedReport(Report):
    """One success of a batch; `index` is its place in the list that was sent, from 0."""

    index: int


class BatchError(BaseModel):
    """One failure of a batch; `index` is its place in the list that was sent, from 0."""

    index: int
    error: str


class BatchResult(BaseModel):
    """Result of both batches, both lists in the order of what was sent."""

    total: int
    success_count: int
    error_count: int
    results: list[BatchedReport]
    errors: list[BatchError]


class DayCounts(BaseModel):
    """One training day of the daily report."""

    id: int
    title: str
    total: int
    present: int
    absent: int
    late: int
    excused: int


class DailyReport(BaseModel):
    """Result of generate_daily_attendance_report; no url for a date without training days."""

    date: datetime.date
    training_days: list[DayCounts]
    url: str | None
