"""A thousand kinds of failures at once: some alerts, then one for all the others, and every failure is counted."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

from notify_service.domain.alert_rules import Failed, Rule, Rules, Storm
from notify_service.domain.alerting import COUNTED, Alert, Group, Letter, advance
from notify_service.domain.storms import Gate, take_in

NOON = datetime(2026, 11, 24, 4, 0, tzinfo=UTC)
END = NOON + timedelta(days=9)
RULES = Rules(Rule(), storm=Storm(most=5, window=timedelta(minutes=15)))


def letter(number: int, minutes: float) -> Letter:
    failed = Failed("media", f"task_{number}", "error", "StorageError")
    return Letter(f"id-{number}", failed, "f", "storage said no", 4, NOON + timedelta(minutes=minutes))


def told(*letters: Letter, batch: int = 10_000) -> list[Alert]:
    """Folded in batches, each of which knows of the earlier ones only what was kept."""
    groups: dict[str, Group] = {}
    for start in range(0, len(letters), batch):
        alerts = [alert for group in groups.values() for alert in group.alerts]
        news = sorted(a.at for a in alerts if a.kind in ("first", "regression") and a.failed.kind != "storm")
        gate = Gate(RULES.storm, news)
        for one in letters[start : start + batch]:
            take_in(groups, one, RULES, gate, told=True)
    for group in groups.values():
        advance(group, RULES.default, END)
    return sorted((a for group in groups.values() for a in group.alerts), key=lambda a: (a.at, str(a.id)))


def test_a_thousand_kinds_are_a_few_alerts_and_one_for_the_rest() -> None:
    alerts = told(*(letter(number, number / 1000) for number in range(1_000)))

    assert Counter(alert.failed.task for alert in alerts if alert.kind == "first") == Counter(
        {"several kinds of tasks": 1, **{f"task_{number}": 1 for number in range(5)}}
    )
    assert len(alerts) == 7, "and one digest"
    assert sum(alert.count for alert in alerts if alert.kind in COUNTED) == 1_000
    assert "task_5: StorageError: storage said no" in alerts[5].message


def test_when_the_storm_is_over_a_kind_that_was_not_told_is_news() -> None:
    alerts = told(*(letter(number, 0) for number in range(7)), letter(6, 20))

    assert [alert.failed.task for alert in alerts if alert.kind == "first"][-1] == "task_6"


def test_what_was_told_goes_on_by_itself_in_a_storm() -> None:
    alerts = told(*(letter(number, 0) for number in range(7)), letter(0, 1), letter(0, 2))

    (digest,) = [alert for alert in alerts if alert.failed.task == "task_0" and alert.kind == "digest"]
    assert digest.count == 2


def test_batches_make_no_difference() -> None:
    letters = [letter(number % 40, number / 7) for number in range(300)]

    assert told(*letters, batch=7) == told(*letters)
