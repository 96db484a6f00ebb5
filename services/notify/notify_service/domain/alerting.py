"""Decides which failures are told and when: a group per fingerprint, folded in event time. Pure.

new -> first alert -> one digest per window while it goes on -> quiet -> told again when it comes back. Who is told
is rules.py's and outbox.py's business, in which words alert_text.py's.
"""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from notify_service.domain.alert_rules import Failed, Rule

#: Of the ids of alerts.
NAMESPACE = uuid.UUID("0c8f3f0e-3b0a-5d52-8a6e-6a4d5f1f7b11")


class Phase(StrEnum):
    """Where a group stands."""

    #: Told, and nothing more came since.
    ALERTED = "alerted"
    #: More came: a digest follows at the end of the window.
    COUNTING = "counting"
    #: Over, or never told yet; the next failure is news.
    QUIET = "quiet"


class Kind(StrEnum):
    """Why somebody is told."""

    FIRST = "first"
    DIGEST = "digest"
    REGRESSION = "regression"
    ESCALATION = "escalation"
    #: The pipeline itself stands still, or runs again.
    SILENCE = "silence"
    RECOVERY = "recovery"


#: Alerts of these kinds tell every failure once: their counts add up to what was not muted.
COUNTED = frozenset({Kind.FIRST, Kind.DIGEST, Kind.REGRESSION})


@dataclass(frozen=True, slots=True)
class Letter:
    """One dead letter, as far as alerts are concerned; `message` is redacted and bounded."""

    task_id: str
    failed: Failed
    fingerprint: str
    message: str
    attempt: int
    at: datetime

    @property
    def key(self) -> str:
        """Its group: one cause in one task type."""
        return hashlib.sha256(f"{self.failed.task}\n{self.fingerprint}".encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Alert:
    """Something to be told, once, whoever finds out and however often."""

    id: uuid.UUID
    kind: Kind
    severity: str
    channels: tuple[str, ...]
    group: str
    failed: Failed
    message: str
    #: Failures this alert tells; for an escalation those of its episode.
    count: int
    #: Failures of the group so far.
    total: int
    attempts: int
    task_id: str
    at: datetime
    first_seen: datetime
    last_seen: datetime


@dataclass(slots=True)
class Group:
    """Failures of one cause, as they were told so far. Changed in place by `observe` and `advance`."""

    key: str
    failed: Failed
    phase: Phase
    #: Of the first failure of all, and of the last.
    first_seen: datetime
    last_seen: datetime
    #: Of the first failure of the episode: windows are counted from it.
    anchor: datetime
    #: How often it came back, from 1; 0: nobody was ever told.
    episode: int = 0
    total: int = 0
    in_episode: int = 0
    #: Failures that no alert tells of yet, and the end of their window.
    pending: int = 0
    window_ends: datetime | None = None
    muted: int = 0
    escalated: bool = False
    #: Alerts made so far.
    told: int = 0
    #: The newest failure.
    message: str = ""
    attempts: int = 1
    task_id: str = ""
    alerts: list[Alert] = field(default_factory=list, repr=False, compare=False)

    def due(self, rule: Rule) -> datetime | None:
        """When `advance` has something to do without any further failure."""
        if self.phase is Phase.QUIET:
            return None
        return self.window_ends if self.phase is Phase.COUNTING else self.last_seen + rule.quiet


def observe(group: Group | None, letter: Letter, rule: Rule, *, told: bool = True) -> Group:
    """Take one letter in; what is to be told now is appended to `group.alerts`.

    Letters come in the order of their times; one that comes late counts as if it came now. One that is not to be
    `told` is counted as muted.
    """
    if group is None:
        group = Group(letter.key, letter.failed, Phase.QUIET, letter.at, letter.at, letter.at)
    at = max(letter.at, group.last_seen)
    advance(group, rule, at)
    group.total += 1
    group.last_seen = at
    group.message, group.attempts, group.task_id = letter.message, letter.attempt, letter.task_id
    if not told or rule.muted(at):
        group.muted += 1
        return group
    if group.phase is Phase.QUIET:
        _begin(group, rule, at)
    else:
        group.in_episode += 1
        _count(group, rule, at)
    _escalate(group, rule, at)
    return group


def advance(group: Group, rule: Rule, to: datetime) -> None:
    """Let time pass: a window ends with its digest, a long silence ends the episode."""
    if group.phase is Phase.COUNTING and group.window_ends is not None and group.window_ends <= to:
        at, count = group.window_ends, group.pending
        group.pending, group.window_ends, group.phase = 0, None, Phase.ALERTED
        _tell(group, Kind.DIGEST, rule, rule.channels, count, at)
    if group.phase is Phase.ALERTED and group.last_seen + rule.quiet <= to:
        group.phase = Phase.QUIET


def _begin(group: Group, rule: Rule, at: datetime) -> None:
    kind = Kind.REGRESSION if group.episode else Kind.FIRST
    group.phase, group.anchor = Phase.ALERTED, at
    group.episode, group.in_episode, group.escalated = group.episode + 1, 1, False
    _tell(group, kind, rule, rule.channels, 1, at)


def _count(group: Group, rule: Rule, at: datetime) -> None:
    group.pending += 1
    if group.phase is Phase.ALERTED:
        group.phase = Phase.COUNTING
        group.window_ends = at + rule.window - _into_window(group.anchor, at, rule.window)


def _into_window(anchor: datetime, at: datetime, window: timedelta) -> timedelta:
    return (at - anchor) % window


def _escalate(group: Group, rule: Rule, at: datetime) -> None:
    step = rule.escalate
    if step is None or group.escalated:
        return
    many = step.after_count is not None and group.in_episode >= step.after_count
    long = step.after is not None and at - group.anchor >= step.after
    if many or long:
        group.escalated = True
        _tell(group, Kind.ESCALATION, rule, step.channels, group.in_episode, at)


def _tell(group: Group, kind: Kind, rule: Rule, channels: tuple[str, ...], count: int, at: datetime) -> None:
    group.told += 1
    group.alerts.append(
        Alert(
            id=uuid.uuid5(NAMESPACE, f"{group.key}|{kind}|{group.episode}|{group.told}"),
            kind=kind, severity=rule.severity, channels=channels, group=group.key, failed=group.failed,
            message=group.message, count=count, total=group.total, attempts=group.attempts, task_id=group.task_id,
            at=at, first_seen=group.first_seen, last_seen=group.last_seen,
        )
    )  # fmt: skip
