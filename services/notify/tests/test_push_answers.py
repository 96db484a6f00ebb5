"""What answers of push services mean, and when one is left alone."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from notify_service.domain.push_answers import PATIENCE, Answer, Leftover, Outcome, Patience, judge

NOW = datetime(2026, 1, 10, 8, 0, tzinfo=UTC)
LATER, SENT = Answer(Outcome.LATER), Answer(Outcome.SENT)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (201, Outcome.SENT),
        (200, Outcome.SENT),
        (404, Outcome.EXPIRED),
        (410, Outcome.EXPIRED),
        (400, Outcome.FAILED),
        (413, Outcome.FAILED),
        (302, Outcome.FAILED),  # a redirect could lead into our own network
        (401, Outcome.UNPROVED),
        (403, Outcome.UNPROVED),
        (408, Outcome.LATER),
        (429, Outcome.LATER),
        (500, Outcome.LATER),
        (503, Outcome.LATER),
    ],
)
def test_a_status_decides_what_becomes_of_a_push(status: int, outcome: Outcome) -> None:
    assert judge(status, "", NOW) == Answer(outcome)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("30", 30.0),
        (" 0 ", 0.0),
        ("Sat, 10 Jan 2026 08:01:00 GMT", 60.0),
        ("Sat, 10 Jan 2026 07:00:00 GMT", 0.0),
        ("9" * 30, 3600.0),
        ("soon", None),
        ("-5", None),
        ("", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str, seconds: float | None) -> None:
    assert judge(429, header, NOW).after == seconds


def test_a_service_that_only_fails_is_left_alone_and_others_are_not() -> None:
    patience = Patience()
    for _ in range(PATIENCE):
        assert patience.refusal("https://a") is None
        patience.learn("https://a", LATER)

    assert patience.refusal("https://a") == LATER
    assert patience.refusal("https://b") is None


def test_one_success_shows_that_a_service_works() -> None:
    patience = Patience()
    for answer in [*[LATER] * (PATIENCE - 1), SENT, LATER]:
        patience.learn("https://a", answer)

    assert patience.refusal("https://a") is None


def test_the_longest_wait_that_was_asked_for_counts() -> None:
    leftover = Leftover()
    for answer in (LATER, Answer(Outcome.LATER, 30.0), Answer(Outcome.LATER, 5.0), Answer(Outcome.UNPROVED)):
        leftover.add(answer)

    assert (leftover.later, leftover.unproved, leftover.after) == (3, 1, 30.0)
