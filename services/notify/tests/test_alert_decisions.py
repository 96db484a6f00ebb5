"""Which failures are told, and when: first at once, digests that add up, quiet, escalation, muting."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from notify_service.domain.alert_rules import Escalation, Failed, Rule
from notify_service.domain.alerting import COUNTED, Alert, Group, Kind, Letter, Phase, advance, observe
from notify_service.domain.merging import Held, Merge

NOON = datetime(2026, 11, 24, 4, 0, tzinfo=UTC)
RULE = Rule(window=timedelta(minutes=15), quiet=timedelta(hours=1))
#: Long after every time a test names.
END = NOON + timedelta(days=30)


def letter(minutes: float, cause: str = "a") -> Letter:
    failed = Failed("media", "compress_and_upload_image", "error", "StorageError")
    return Letter(f"task-{minutes}", failed, cause, "storage said no", 4, NOON + timedelta(minutes=minutes))


def told(letters: Iterable[Letter], rule: Rule = RULE, *, end: datetime = END) -> list[Alert]:
    groups: dict[str, Group] = {}
    for one in letters:
        groups[one.key] = observe(groups.get(one.key), one, rule)
    for group in groups.values():
        advance(group, rule, end)
    return [alert for group in groups.values() for alert in group.alerts]


def kinds(alerts: Iterable[Alert]) -> list[tuple[str, int]]:
    return [(str(alert.kind), alert.count) for alert in alerts]


def test_the_first_failure_is_told_at_once_and_the_rest_of_the_window_in_one_digest() -> None:
    assert kinds(told(letter(n / 1000) for n in range(10_000))) == [("first", 1), ("digest", 9_999)]


def test_each_window_with_failures_has_one_digest() -> None:
    assert kinds(told([letter(0), letter(1), letter(14.9), letter(15.1), letter(44)])) == [
        ("first", 1), ("digest", 2), ("digest", 1), ("digest", 1),
    ]  # fmt: skip


def test_a_digest_says_when_its_window_ended() -> None:
    _, digest = told([letter(0), letter(1)])

    assert digest.at == NOON + timedelta(minutes=15)


def test_nothing_is_told_of_a_window_that_still_runs() -> None:
    assert kinds(told([letter(0), letter(1)], end=NOON + timedelta(minutes=14))) == [("first", 1)]


def test_three_causes_are_three_alerts() -> None:
    assert kinds(told([letter(0, "a"), letter(0, "b"), letter(0, "c")])) == [("first", 1)] * 3


def test_what_comes_back_after_quiet_is_news_again() -> None:
    alerts = told([letter(0), letter(61)])

    assert kinds(alerts) == [("first", 1), ("regression", 1)]
    assert alerts[1].total == 2
    assert alerts[1].first_seen == NOON


def test_what_goes_on_now_and_then_is_no_news() -> None:
    assert kinds(told([letter(0), letter(59), letter(118)])) == [("first", 1), ("digest", 1), ("digest", 1)]


@pytest.mark.parametrize(
    ("step", "letters", "expected"),
    [
        # 3 in one episode, once, although five come
        (Escalation(("webhook:boss",), after_count=3), [0, 1, 2, 3, 4], 3),
        # the third comes an hour after the first
        (Escalation(("webhook:boss",), after=timedelta(minutes=50)), [0, 30, 50], 3),
        # three, but in two episodes
        (Escalation(("webhook:boss",), after_count=3), [0, 100, 200], None),
    ],
)
def test_an_episode_that_is_long_or_large_goes_to_further_channels_once(
    step: Escalation, letters: Sequence[int], expected: int | None
) -> None:
    alerts = told(map(letter, letters), replace(RULE, escalate=step))

    raised = [alert for alert in alerts if alert.kind is Kind.ESCALATION]
    assert [alert.count for alert in raised] == ([expected] if expected else [])
    assert all(alert.channels == ("webhook:boss",) for alert in raised)
    assert sum(alert.count for alert in alerts if alert.kind in COUNTED) == len(letters)


def test_a_muted_failure_is_counted_and_told_to_nobody() -> None:
    until = NOON + timedelta(minutes=10)
    muted = replace(RULE, mute=until)

    assert told([letter(0), letter(5)], replace(RULE, mute=True)) == []
    first, _ = told([letter(0), letter(5), letter(11), letter(12)], muted)
    assert (first.kind, first.count, first.total) == (Kind.FIRST, 1, 3)


gaps = st.lists(st.floats(0, 200, allow_nan=False), min_size=1, max_size=40)


@settings(max_examples=150, deadline=None)
@given(gaps, st.integers(0, 2**32), st.sampled_from(["a", "ab", "abc"]))
def test_every_interleaving_batch_and_restart_gives_the_same_alerts(gaps: list[float], seed: int, causes: str) -> None:
    chance = random.Random(seed)
    letters, minute = [], 0.0
    for gap in gaps:
        minute += gap
        letters.append(letter(round(minute, 3), chance.choice(causes)))
    rule = replace(RULE, escalate=Escalation(("mail",), after_count=3, after=timedelta(hours=2)))

    straight = told(letters, rule)
    torn = replay(letters, rule, chance)

    assert sorted(torn, key=str) == sorted(straight, key=str)
    assert len({alert.id for alert in straight}) == len(straight)
    assert sum(alert.count for alert in straight if alert.kind in COUNTED) == len(letters)


def replay(letters: Sequence[Letter], rule: Rule, chance: random.Random) -> list[Alert]:
    """The same letters in three partitions that are read at random speeds, by a process that dies now and then."""
    partitions: list[list[Letter]] = [[], [], []]
    for one in letters:
        chance.choice(partitions).append(one)
    store = Store(rule)
    while sum(store.offsets) < len(letters):
        read_until_killed(partitions, store, chance)
    store.commit([], END)
    return list(store.outbox.values())


class Store:
    """What PostgreSQL holds: groups, offsets and alerts of whole batches only."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.groups: dict[str, Group] = {}
        self.offsets = [0, 0, 0]
        self.outbox: dict[object, Alert] = {}

    def commit(self, held: Sequence[Held[int, Letter]], until: datetime) -> None:
        batch = {key: replace(group, alerts=[]) for key, group in self.groups.items()}
        for one in held:
            batch[one.item.key] = observe(batch.get(one.item.key), one.item, self.rule)
            self.offsets[one.partition] = one.offset + 1
        for group in batch.values():
            advance(group, self.rule, until)
            self.outbox |= {alert.id: alert for alert in group.alerts}
        self.groups = batch


def read_until_killed(partitions: Sequence[Sequence[Letter]], store: Store, chance: random.Random) -> None:
    """One life of a process: what it read and did not commit is gone with it."""
    merge: Merge[int, Letter] = Merge(range(3))
    reached = list(store.offsets)
    for _ in range(chance.randint(1, 6)):
        number = chance.randrange(3)
        upto = min(len(partitions[number]), reached[number] + chance.randint(0, 5))
        for offset in range(reached[number], upto):
            one = partitions[number][offset]
            merge.add(number, offset, one.at, one)
        reached[number] = upto
        held, until = merge.ready({n for n in range(3) if reached[n] == len(partitions[n])}, END)
        if chance.random() < 0.3:
            return
        if until is not None:
            store.commit(held, until)


def test_a_group_that_was_told_and_is_quiet_waits_for_nothing() -> None:
    group = observe(None, letter(0), RULE)
    assert group.due(RULE) == NOON + RULE.quiet

    advance(group, RULE, END)

    assert group.phase is Phase.QUIET
    assert group.due(RULE) is None


def test_letters_of_one_cause_in_two_task_types_are_two_groups() -> None:
    other = replace(letter(0), failed=Failed("ocr", "process_ocr_document", "error", "StorageError"))

    assert Counter(alert.failed.task for alert in told([letter(0), other])) == Counter(
        {"compress_and_upload_image": 1, "process_ocr_document": 1}
    )
