"""Keeps a thousand kinds of failures from being a thousand alerts: what is too much news is told as one group. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, MutableMapping
from dataclasses import replace
from datetime import UTC, datetime

from notify_service.domain.alert_rules import Failed, Rules, Storm
from notify_service.domain.alerting import Group, Letter, Phase, advance, observe

#: What failed, when it is too much to be told one by one.
TOGETHER = Failed("several services", "several kinds of tasks", "storm", "")
TOGETHER_KEY = Letter("", TOGETHER, "storm", "", 0, datetime.min.replace(tzinfo=UTC)).key


class Gate:
    """Counts news in the order of its time; `recent` are the times of what was told before, oldest first."""

    def __init__(self, rule: Storm, recent: Iterable[datetime]) -> None:
        self._rule = rule
        self._told = deque(recent)

    def open(self, at: datetime) -> bool:
        """Whether one more kind of failure may be told by itself."""
        while self._told and self._told[0] <= at - self._rule.window:
            self._told.popleft()
        return len(self._told) < self._rule.most

    def passed(self, at: datetime) -> None:
        self._told.append(at)


def together(letter: Letter, rule: Storm) -> Letter:
    """The same failure as one of many."""
    message = f"More than {rule.most} kinds of failures in a short time: `muster dlq groups` lists them. The newest: "
    newest = f"{letter.failed.task}: {letter.failed.error}: {letter.message}"
    return replace(letter, failed=TOGETHER, fingerprint="storm", message=message + newest)


def take_in(groups: MutableMapping[str, Group], letter: Letter, rules: Rules, gate: Gate, *, told: bool) -> None:
    """Fold one letter into its group, or into the one of all that are too many."""
    rule, group = rules.of(letter.failed), groups.get(letter.key)
    if group is not None:
        advance(group, rule, letter.at)
    news = (group is None or group.phase is Phase.QUIET) and told and not rule.muted(letter.at)
    if news and not gate.open(letter.at):
        letter = together(letter, rules.storm)
        rule, news = rules.of(letter.failed), False
    groups[letter.key] = observe(groups.get(letter.key), letter, rule, told=told)
    if news:
        gate.passed(letter.at)
