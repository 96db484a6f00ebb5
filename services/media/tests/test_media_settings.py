"""A media service with missing or wrong settings does not start, and says which ones."""

from __future__ import annotations

import pytest
from media_service.resources import media_resources
from media_service.settings import MediaSettings
from muster.contracts.errors import ConfigurationError, StoreError
from muster.settings import Settings

COMPLETE = {
    "DATABASE_URL": "postgresql://rotc:of-the-tests@127.0.0.1:9/rotc",
    "CLOUDINARY_CLOUD_NAME": "unit",
    "CLOUDINARY_API_KEY": "key",
    "CLOUDINARY_API_SECRET": "of-the-tests",
}


@pytest.fixture(autouse=True)
def complete(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in COMPLETE.items():
        monkeypatch.setenv(name, value)


def test_the_secrets_are_not_shown() -> None:
    assert "of-the-tests" not in repr(MediaSettings.from_environment())


def test_every_missing_or_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CLOUDINARY_API_SECRET")
    monkeypatch.setenv("CLOUDINARY_CLOUD_NAME", "")
    monkeypatch.setenv("CLOUDINARY_TIMEOUT_SECONDS", "soon")

    with pytest.raises(ConfigurationError) as caught:
        MediaSettings.from_environment()

    for name in ("CLOUDINARY_API_SECRET", "CLOUDINARY_CLOUD_NAME", "CLOUDINARY_TIMEOUT_SECONDS"):
        assert f"{name}: " in str(caught.value)


async def test_a_database_out_of_reach_stops_the_start_without_telling_the_password() -> None:
    with pytest.raises(StoreError) as caught:
        async with media_resources(Settings()):
            raise AssertionError("it started")

    assert "of-the-tests" not in str(caught.value)
