"""Sentences about when a failed attempt runs again."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from muster.contracts.retry import UNKNOWN_TASK, RetryPolicy


@pytest.mark.parametrize(
    ("failed_attempt", "full"),
    [
        (1, 60.0),  # base
        (2, 120.0),  # base * factor
        (3, 240.0),  # base * factor**2
        (4, None),  # the fourth attempt was the last
    ],
)
def test_the_default_policy_waits_as_the_reference_document_says(failed_attempt: int, full: float | None) -> None:
    assert RetryPolicy(jitter=False).delay(failed_attempt, random.Random(1)) == full


def test_the_cap_bounds_every_delay() -> None:
    policy = RetryPolicy(max_retries=5000, jitter=False)

    assert policy.delay(4999, random.Random(1)) == 600.0


@given(attempt=st.integers(1, 3), seed=st.integers())
def test_jitter_lies_between_half_and_the_whole_delay(attempt: int, seed: int) -> None:
    full = RetryPolicy(jitter=False).delay(attempt, random.Random(seed))
    drawn = RetryPolicy().delay(attempt, random.Random(seed))

    assert full is not None
    assert drawn is not None
    assert full / 2 <= drawn <= full


def test_an_unknown_type_is_tried_for_about_an_hour() -> None:
    assert UNKNOWN_TASK.max_retries * UNKNOWN_TASK.base == 3600
