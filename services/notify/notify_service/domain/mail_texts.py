"""What each mail says, as text and as HTML in the unit's look. The templates lie beside; addresses are not here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from notify_service.domain.alert_text import AlertWords
from notify_service.domain.mail_message import Words

_templates = Environment(
    loader=PackageLoader("notify_service.domain", "templates"),
    autoescape=select_autoescape(("html",)),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
#: What a grade is called when its name is not to be taken as it is.
_GRADES = {
    "prelim": "Prelim", "midterm": "Midterm", "final": "Final", "prelim_score": "Prelim Score",
    "midterm_score": "Midterm Score", "final_score": "Final Score",
}  # fmt: skip


@dataclass(frozen=True)
class Stationery:
    """What stands around every mail."""

    school: str
    unit: str
    #: Where people reach the app; empty: no button.
    app_url: str = ""


def message_words(stationery: Stationery, subject: str, message: str, unsubscribe: str | None = None) -> Words:
    """Any text; its paragraphs and links are kept."""
    paragraphs = [part.strip() for part in message.replace("\r\n", "\n").split("\n\n") if part.strip()]
    return _words("message", stationery, subject, unsubscribe, message=message.strip(), paragraphs=paragraphs)


def grade_words(
    stationery: Stationery, first_name: str, grade_type: str, new_value: str, unsubscribe: str | None = None
) -> Words:
    """A grade changed."""
    grade = _GRADES.get(grade_type, grade_type.replace("_", " ").title())
    return _words(
        "grade", stationery, f"Grade Update: {grade}", unsubscribe, first_name=first_name, grade=grade, value=new_value
    )


def letter_words(
    stationery: Stationery, first_name: str, day: date, status: str, reason: str | None, unsubscribe: str | None = None
) -> Words:
    """An excuse letter was decided on; `status`: approved or rejected."""
    return _words(
        "letter", stationery, f"Excuse Letter {status.capitalize()}", unsubscribe, first_name=first_name,
        day=f"{day:%B} {day.day}, {day.year}", status=status, reason=reason,
    )  # fmt: skip


def alert_words(stationery: Stationery, told: AlertWords, severity: str, unsubscribe: str | None = None) -> Words:
    """Background tasks fail, or the pipeline stands still."""
    return _words("alert", stationery, told.subject, unsubscribe, told=told, severity=severity)


def _words(name: str, stationery: Stationery, subject: str, unsubscribe: str | None, **facts: object) -> Words:
    around = {"stationery": stationery, "subject": subject, "unsubscribe": unsubscribe}
    text, html = (_templates.get_template(f"{name}.{kind}").render(**around, **facts) for kind in ("txt", "html"))
    return Words(subject, text.strip() + "\n", html)
