"""Keys that everybody knows are refused; limits are kept."""

from __future__ import annotations

import pytest
from pydantic import ValidationError
from tracker_service.api.errors import ApiError
from tracker_service.api.limits import RateLimit
from tracker_service.settings import TrackerSettings


@pytest.mark.parametrize("key", ["short", "django-insecure-" + "x" * 60])
def test_a_weak_or_public_key_is_refused_unless_it_is_a_demo(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("DJANGO_SECRET_KEY", key)

    with pytest.raises(ValidationError, match="DJANGO_SECRET_KEY"):
        TrackerSettings()

    monkeypatch.setenv("MUSTER_ALLOW_WEAK_KEY", "1")
    assert TrackerSettings().secret_key is not None


def test_a_caller_beyond_the_limit_is_told_when_to_come_back() -> None:
    limit = RateLimit("2/minute")
    limit.count("one")
    limit.count("one")
    limit.count("another")

    with pytest.raises(ApiError) as refusal:
        limit.count("one")

    assert refusal.value.status == 429
    assert 0 < int(refusal.value.headers["Retry-After"]) <= 61
