"""What a caller may send to the push tasks and what comes back. Nothing is done with it here."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints, model_validator

LARGEST_ID = 2**31 - 1  # the tables' ids are PostgreSQL integers
MOST_USERS = 10_000
_TEXT = r"^[^\x00]+$"  # PostgreSQL holds no NUL in a text

Id = Annotated[int, Field(strict=True, ge=1, le=LARGEST_ID)]
Title = Annotated[
    str, StringConstraints(strict=True, strip_whitespace=True, min_length=1, max_length=200, pattern=_TEXT)
]
Message = Annotated[
    str, StringConstraints(strict=True, strip_whitespace=True, min_length=1, max_length=10_000, pattern=_TEXT)
]


class _Parameters(BaseModel):
    """Unknown names are refused; what was sent is never repeated in an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class SendPush(_Parameters):
    """Parameters of send_push_notification."""

    #: users.id of who is told.
    user_id: Id
    title: Title
    message: Message
    #: icon, url, actions, requireInteraction and silent are shown; the rest reaches the page as `data`.
    data: dict[str, JsonValue] | None = None


class SendPushes(_Parameters):
    """Parameters of send_push_notifications: a notification there is, or a title and a message."""

    notification_id: Id | None = None
    user_ids: Annotated[list[Id], Field(min_length=1, max_length=MOST_USERS)]
    title: Title | None = None
    message: Message | None = None

    @model_validator(mode="after")
    def _something_to_say(self) -> Self:
        if self.notification_id is not None and self.message is not None:
            raise ValueError("give a notification_id or a message, not both")
        if self.notification_id is None and (self.title is None or self.message is None):
            raise ValueError("give a notification_id, or a title and a message")
        return self


class BroadcastPush(_Parameters):
    """Parameters of send_broadcast_push_notification."""

    title: Title
    message: Message
    #: Everybody who is approved when null.
    role: Literal["admin", "training_staff", "cadet"] | None = None


class PushResult(BaseModel):
    """Result of send_push_notification; each number counts browsers."""

    sent: int
    failed: int
    expired_subscriptions: int


class PushesResult(BaseModel):
    """Result of send_push_notifications: people who were told, and browsers by what became of their pushes."""

    total_users: int
    sent: int
    failed: int
    expired: int


class BroadcastResult(PushesResult):
    """Result of send_broadcast_push_notification."""

    role: str | None
