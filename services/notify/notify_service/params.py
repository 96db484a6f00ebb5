"""What a caller may send to the tasks and what comes back: names, types and ranges. Nothing is done with it here."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

LARGEST_ID = 2**31 - 1  # the tables' ids are PostgreSQL integers
Id = Annotated[int, Field(strict=True, ge=1, le=LARGEST_ID)]


class Parameters(BaseModel):
    """Unknown names are refused; what was sent is never repeated in an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Reminder(Parameters):
    """Parameters of send_attendance_reminder."""

    training_day_id: Id


class Reminded(BaseModel):
    """Result of send_attendance_reminder."""

    users_notified: int


class Cleanup(Parameters):
    """Parameters of cleanup_old_notifications; `days`: the age from which a notification that was read goes."""

    days: Annotated[int, Field(strict=True, ge=1, le=36_500)] = 30


class Cleaned(BaseModel):
    """Result of cleanup_old_notifications."""

    deleted: int
