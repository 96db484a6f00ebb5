"""The mail settings: names of Django, and what does not start rather than fail later or leak."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from muster.contracts.errors import ConfigurationError
from notify_service.mail.mailer import configured_mail, server_of
from notify_service.settings import NotifySettings

NEEDED = {"DATABASE_URL": "postgresql://unit", "EMAIL_HOST": "mail.unit.example"}


def settings(monkeypatch: pytest.MonkeyPatch, **environment: str) -> NotifySettings:
    for name, value in (NEEDED | environment).items():
        monkeypatch.setenv(name, value)
    return NotifySettings.from_environment()


@pytest.mark.parametrize(
    ("environment", "start_tls", "implicit_tls", "port"),
    [
        ({}, True, False, 587),
        ({"EMAIL_USE_SSL": "true", "EMAIL_PORT": "465"}, False, True, 465),
        ({"EMAIL_USE_TLS": "false", "EMAIL_PORT": "25"}, False, False, 25),
    ],
    ids=["STARTTLS unless told otherwise", "implicit TLS", "neither"],
)
def test_tls_is_as_django_names_it(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], start_tls: bool, implicit_tls: bool, port: int
) -> None:
    server = server_of(settings(monkeypatch, **environment))

    assert (server.start_tls and not server.implicit_tls, server.implicit_tls) == (start_tls, implicit_tls)
    assert (server.host, server.port) == ("mail.unit.example", port)


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"EMAIL_USE_TLS": "true", "EMAIL_USE_SSL": "true"}, "EMAIL_USE_TLS and EMAIL_USE_SSL exclude each other"),
        ({"EMAIL_USE_TLS": "false", "EMAIL_HOST_PASSWORD": "s3cret"}, "in the clear"),
        ({"EMAIL_PORT": "70000"}, "EMAIL_PORT"),
    ],
)
def test_what_cannot_work_does_not_start(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], said: str
) -> None:
    with pytest.raises(ConfigurationError, match=said) as refused:
        settings(monkeypatch, **environment)

    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        (
            {"DEFAULT_FROM_EMAIL": "Unit\r\nBcc: all@unit.example <a@unit.example>"},
            "DEFAULT_FROM_EMAIL is not a sender",
        ),
        ({"DEFAULT_FROM_EMAIL": "the unit"}, "DEFAULT_FROM_EMAIL is not a mail address"),
        ({"UNSUBSCRIBE_KEYS": "short"}, "UNSUBSCRIBE_KEYS"),
    ],
)
async def test_a_sender_or_key_that_is_none_ends_the_start(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], said: str
) -> None:
    found: Any = settings(monkeypatch, **environment)

    with pytest.raises(ConfigurationError, match=said):
        async with configured_mail(found, lambda: datetime.now(UTC)):
            pass


async def test_without_a_server_there_is_no_mailer(monkeypatch: pytest.MonkeyPatch) -> None:
    async with configured_mail(settings(monkeypatch, EMAIL_HOST=""), lambda: datetime.now(UTC)) as mailer:
        assert mailer is None
