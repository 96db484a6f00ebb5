"""The file of rules: what it may say, how a mistake is named, and that the packaged one can be used."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from muster.contracts.errors import ConfigurationError
from notify_service.alerts.rules import read_rules
from notify_service.alerts.settings import AlertSettings
from notify_service.domain.alert_rules import Failed, InvalidRules, Rules, parse_rules
from pydantic import ValidationError

GOOD = """
[defaults]
window = "90s"
quiet = "2h"
channels = ["mail"]

[[rule]]
name = "mails"
match = { task = ["send_*", "other"], kind = "timeout" }
severity = "critical"
escalate = { after_count = 50, after = "1d", channels = ["webhook:boss"] }

[[rule]]
match = { service = "media" }
mute = 2026-12-01T00:00:00+08:00

[dead_man]
silent_for = "1m"
"""


def rules(text: str) -> Rules:
    return parse_rules(tomllib.loads(text))


def failed(service: str = "notify", task: str = "send_email_notification", kind: str = "timeout") -> Failed:
    return Failed(service, task, kind, "TimeoutError")


def test_the_first_rule_that_fits_counts_and_takes_the_rest_from_the_defaults() -> None:
    found = rules(GOOD)

    mails = found.of(failed())
    assert (mails.name, mails.severity, mails.channels) == ("mails", "critical", ("mail",))
    assert (mails.window, mails.quiet) == (timedelta(seconds=90), timedelta(hours=2))
    assert mails.escalate is not None
    assert mails.escalate.after == timedelta(days=1)
    assert found.of(failed(kind="error")).name == "default"
    assert found.of(failed("media")).name == "mails"
    assert found.dead_man.silent_for == timedelta(minutes=1)


def test_a_rule_may_mute_until_an_instant() -> None:
    muted = rules(GOOD).of(failed("media", "compress", "error"))

    assert muted.muted(datetime(2026, 11, 30, 15, 59, tzinfo=UTC))
    assert not muted.muted(datetime(2026, 11, 30, 16, 0, tzinfo=UTC))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('[defaults]\nwindow = "15"', r"window is '15': write a time span"),
        ('[defaults]\nwindow = "0s"', "window is '0s'"),
        ('[defaults]\nwindow = "1h"\nquiet = "5m"', "quiet is shorter than window"),
        ('[defaults]\nmatch = { kind = "error" }', "fits everything"),
        ('[defaults]\nchannels = ["sms"]', "names 'sms': known are"),
        ('[defaults]\nseverity = "bad"', "severity is 'bad'"),
        ('[rule]\nname = "one"', "two brackets"),
        ('[[rule]]\nname = "one"\nwindows = "1h"', r"\(one\) does not know windows"),
        ('[[rule]]\nmatch = { user = "5" }', "does not know user"),
        ("[[rule]]\nmute = 2026-12-01T00:00:00", "with its offset"),
        ('[[rule]]\nescalate = { channels = ["mail"] }', "never happens"),
        ('[[rule]]\nescalate = { after_count = 1, channels = ["mail"] }', "after_count is 1"),
        ('[dead_man]\nremind = "often"', "remind is 'often'"),
        ("[storm]\nmost = 0", "most is 0"),
        ('[alerts]\nwindow = "1h"', "does not know alerts"),
    ],
)
def test_a_mistake_is_named_with_its_place(text: str, complaint: str) -> None:
    with pytest.raises(InvalidRules, match=complaint):
        rules(text)


def test_the_packaged_rules_can_be_used() -> None:
    found = read_rules(None)

    assert found.of(failed(kind="worker_lost")).severity == "critical"
    assert found.of(failed(kind="error")).channels == ("notification", "mail", "push", "webhook")


def test_a_file_that_cannot_be_used_stops_the_start_and_is_named(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text("[defaults\n")

    with pytest.raises(ConfigurationError, match=r"rules\.toml"):
        read_rules(path)
    with pytest.raises(ConfigurationError, match=r"missing\.toml"):
        read_rules(tmp_path / "missing.toml")


def test_webhooks_are_named_and_kept_by_digests() -> None:
    settings = AlertSettings(urls="json://a/token1 boss=json://b/token2?x=1=2")

    assert sorted(settings.hooks.values()) == [("", "json://a/token1"), ("boss", "json://b/token2?x=1=2")]
    assert all("token" not in digest for digest in settings.hooks)
    assert "token" not in repr(settings)


def test_a_webhook_without_a_scheme_is_refused_without_being_repeated() -> None:
    with pytest.raises(ValidationError) as refused:
        AlertSettings(urls="hooks.example/s3cret")

    assert "s3cret" not in str(refused.value)
