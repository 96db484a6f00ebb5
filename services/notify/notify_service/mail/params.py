"""What a caller may send to the mail tasks and what comes back: names, types and ranges. Nothing is done with it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field, StringConstraints

from notify_service.domain.addresses import LONGEST, parse_address, parse_sender
from notify_service.params import Id, Parameters

MOST_RECIPIENTS = 1_000


def _sender(text: str) -> str:
    parse_sender(text)
    return text


#: One line: what follows a line break in a header would be a header of its own.
Line = Annotated[
    str,
    StringConstraints(
        strict=True, strip_whitespace=True, min_length=1, max_length=255,
        pattern="^[^\\x00-\\x1f\\x7f-\\x9f\\u2028\\u2029]+$",
    ),
]  # fmt: skip
Text = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=200_000, pattern=r"^[^\x00]+$")]
Recipient = Annotated[str, StringConstraints(strict=True, max_length=LONGEST), AfterValidator(parse_address)]
Sender = Annotated[str, StringConstraints(strict=True, max_length=LONGEST), AfterValidator(_sender)]


class SendMail(Parameters):
    """Parameters of send_email_notification."""

    recipient_email: Recipient
    subject: Line
    message: Text
    #: Sent as it is, beside the text; made from the text in the unit's look when null.
    html_message: Text | None = None
    #: DEFAULT_FROM_EMAIL when null; another one must be of the same domain.
    from_email: Sender | None = None


class SendMails(Parameters):
    """Parameters of send_bulk_email_notifications; an address that is none is a failure of its own."""

    recipients: Annotated[
        list[Annotated[str, StringConstraints(strict=True, max_length=LONGEST)]],
        Field(min_length=1, max_length=MOST_RECIPIENTS),
    ]
    subject: Line
    message: Text
    html_message: Text | None = None


class SendGrade(Parameters):
    """Parameters of send_grade_update_email."""

    cadet_id: Id
    #: merit, demerit, exam_score, prelim, ...: what the mail calls it.
    grade_type: Annotated[
        str, StringConstraints(strict=True, strip_whitespace=True, pattern=r"^[A-Za-z][A-Za-z0-9 _-]{0,49}$")
    ]
    new_value: Annotated[int, Field(strict=True)] | Annotated[float, Field(strict=True, allow_inf_nan=False)] | Line


class SendLetterStatus(Parameters):
    """Parameters of send_excuse_letter_status_email."""

    excuse_letter_id: Id
    status: Literal["approved", "rejected"]
    reason: (
        Annotated[str, StringConstraints(strict=True, strip_whitespace=True, max_length=2_000, pattern=r"^[^\x00]*$")]
        | None
    ) = None


class Mailed(BaseModel):
    """Result of a task that sends one mail. `recipient` is whole where the caller named it, masked where we did."""

    status: Literal["sent", "skipped"]
    recipient: str | None = None
    message_id: str | None = None
    #: Why it was skipped.
    reason: str | None = None


class MailFailure(BaseModel):
    """One mail that was not sent; `code` is the mail server's, null when it said nothing."""

    recipient: str
    code: int | None
    reason: str


class MailsResult(BaseModel):
    """Result of send_bulk_email_notifications; a recipient named twice gets one mail, the second counts as skipped."""

    total: int
    sent: int
    skipped: int
    failed: int
    failures: list[MailFailure]
