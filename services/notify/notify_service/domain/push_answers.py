"""What an answer of a push service means, and when to leave one alone. Pure: nothing is sent or stored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum

#: A Retry-After beyond it is a mistake or an attack.
LONGEST_WAIT_SECONDS = 3600.0
#: So many failures in a row are the service's, and not those of single browsers.
PATIENCE = 20
_GONE = frozenset({404, 410})
_PASSING = frozenset({408, 425, 429})
_UNPROVED = frozenset({401, 403})


class Outcome(StrEnum):
    """What became of one push; the first three are final."""

    SENT = "sent"
    #: The browser is gone for good.
    EXPIRED = "expired"
    #: It will never be taken: too large, not understood.
    FAILED = "failed"
    #: Worth another try.
    LATER = "later"
    #: The service does not believe our VAPID key: another key, or this subscription never.
    UNPROVED = "unproved"


FINAL = frozenset({Outcome.SENT, Outcome.EXPIRED, Outcome.FAILED})


@dataclass(frozen=True)
class Answer:
    """The outcome of one push, and the seconds the service wants to be left alone, if it said so."""

    outcome: Outcome
    after: float | None = None


def judge(status: int, retry_after: str, now: datetime) -> Answer:
    """What a status means; retry_after: the header of that name, empty without one."""
    if 200 <= status < 300:
        return Answer(Outcome.SENT)
    if status in _GONE:
        return Answer(Outcome.EXPIRED)
    if status in _UNPROVED:
        return Answer(Outcome.UNPROVED)
    if status >= 500 or status in _PASSING:
        return Answer(Outcome.LATER, seconds_of(retry_after, now))
    return Answer(Outcome.FAILED)


def seconds_of(retry_after: str, now: datetime) -> float | None:
    """Seconds of a Retry-After header, which is a number of them or a date; None when it is neither."""
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:12]), LONGEST_WAIT_SECONDS)
    try:
        until = parsedate_to_datetime(text)
    except ValueError:
        return None
    if until.tzinfo is None:
        until = until.replace(tzinfo=UTC)
    return min(max(0.0, (until - now).total_seconds()), LONGEST_WAIT_SECONDS)


@dataclass
class Patience:
    """Knows which push services do not work at the moment: for the rest of a run they are not asked again."""

    _failures: dict[str, int] = field(default_factory=dict)
    _last: dict[str, Answer] = field(default_factory=dict)

    def refusal(self, origin: str) -> Answer | None:
        """What a service that is left alone answered last; None: it may be asked."""
        return self._last[origin] if self._failures.get(origin, 0) >= PATIENCE else None

    def learn(self, origin: str, answer: Answer) -> None:
        """Count failures in a row: any other answer shows that the service works."""
        if answer.outcome in FINAL:
            self._failures[origin] = 0
        else:
            self._failures[origin] = self._failures.get(origin, 0) + 1
            self._last[origin] = answer


@dataclass
class Leftover:
    """The pushes of one run that did not come to an end."""

    later: int = 0
    unproved: int = 0
    #: The longest wait that a service asked for.
    after: float | None = None

    def add(self, answer: Answer) -> None:
        if answer.outcome is Outcome.UNPROVED:
            self.unproved += 1
            return
        self.later += 1
        if answer.after is not None:
            self.after = max(self.after or 0.0, answer.after)


Now = Callable[[], datetime]
