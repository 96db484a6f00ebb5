"""The words of an alert: a line for the app, a subject, facts for a mail. Pure; markup is the templates'."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from notify_service.domain.alerting import Alert, Kind

#: Of the error, in the line of the app: as long as the backend's own was.
LINE_ERROR = 200
SUBJECT_TASK = 80


@dataclass(frozen=True, slots=True)
class AlertWords:
    """An alert as people read it."""

    #: `notifications.message`.
    line: str
    subject: str
    #: One sentence: what happened.
    lead: str
    #: Names and values, in the order of reading.
    facts: tuple[tuple[str, str], ...]
    #: Where to look; None where there is no task.
    link: str | None

    @property
    def brief(self) -> str:
        """As much as a screen that is locked shows."""
        error = next((value for name, value in self.facts if name == "Error"), "")
        return f"{error}\n{self.lead}" if error else self.lead

    @property
    def text(self) -> str:
        """The whole of it without markup."""
        lines = [self.lead, "", *(f"{name}: {value}" for name, value in self.facts)]
        return "\n".join([*lines, "", self.link] if self.link else lines)


def words(alert: Alert, public_url: str, zone: tzinfo) -> AlertWords:
    """In the unit's own time zone; `public_url` is where people reach the status API."""
    if alert.kind in (Kind.SILENCE, Kind.RECOVERY):
        return _of_pipeline(alert, zone)
    task, error = alert.failed.task, error_of(alert)
    link = f"{public_url.rstrip('/')}/api/tasks/{alert.task_id}/status/" if alert.task_id and public_url else None
    told = _how_often(alert, zone)
    line = f"Background task failed: {task}. Error: {_cut(error, LINE_ERROR)}. {told}"
    facts = (
        ("Task", task), ("Service", alert.failed.service), ("Failure", alert.failed.kind), ("Error", error),
        ("Attempts", str(alert.attempts)), ("Failures told here", f"{alert.count:,}"),
        ("Failures in all", f"{alert.total:,}"), ("First seen", when(alert.first_seen, zone)),
        ("Last seen", when(alert.last_seen, zone)), ("Newest task", alert.task_id or "unknown"),
    )  # fmt: skip
    return AlertWords(f"{line} {link}" if link else line, _subject(alert), told, facts, link)


def error_of(alert: Alert) -> str:
    """`ValueError: what it said`, on one line."""
    said = " ".join(alert.message.split())
    name = alert.failed.error
    return said if not name or said.startswith(name) else f"{name}: {said}" if said else name


def when(at: datetime, zone: tzinfo) -> str:
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M:%S %Z}"


def lasting(span: timedelta) -> str:
    """`6 h 5 min`, `40 s`."""
    seconds = int(span.total_seconds())
    if seconds < 60:
        return f"{seconds} s"
    hours, minutes = divmod(seconds // 60, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def _of_pipeline(alert: Alert, zone: tzinfo) -> AlertWords:
    part, since = alert.failed.task, when(alert.first_seen, zone)
    if alert.kind is Kind.RECOVERY:
        lead = f"The {part} works again, after {lasting(alert.at - alert.first_seen)} of silence."
        subject = f"[muster] works again: {part}"
    else:
        lead = f"{alert.message} Silent since {since}."
        subject = f"[muster] {alert.severity}: silent: {part}"
    facts = (("Part", part), ("Silent since", since), ("Seen", when(alert.at, zone)))
    return AlertWords(f"Background work: {lead}", subject, lead, facts, None)


def _subject(alert: Alert) -> str:
    task = _cut(alert.failed.task, SUBJECT_TASK)
    head = f"[muster] {alert.severity}: {task}"
    match alert.kind:
        case Kind.DIGEST:
            return f"{head} failed {alert.count:,} more time{_s(alert.count)}"
        case Kind.REGRESSION:
            return f"{head} fails again"
        case Kind.ESCALATION:
            return f"{head} goes on failing ({alert.count:,} times)"
    return f"{head} failed"


def _how_often(alert: Alert, zone: tzinfo) -> str:
    match alert.kind:
        case Kind.DIGEST:
            more = f"{alert.count:,} more failure{_s(alert.count)} of the same kind, {alert.total:,} in all"
            return f"{more}, the last at {when(alert.last_seen, zone)}."
        case Kind.REGRESSION:
            return (
                f"It is back after a time of quiet: {alert.total:,} failures in all, after {_tries(alert)} this time."
            )
        case Kind.ESCALATION:
            return f"It goes on: {alert.count:,} failures since it began, {alert.total:,} in all."
    return f"It is the first failure of its kind, after {_tries(alert)}."


def _tries(alert: Alert) -> str:
    return f"{alert.attempts} attempt{_s(alert.attempts)}"


def _s(count: int) -> str:
    return "" if count == 1 else "s"


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1].rstrip()}…"
