"""An alert as a mail: text and HTML in the unit's look, nothing of an error taken for markup."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from notify_service.domain.alert_rules import Failed, Rule
from notify_service.domain.alert_text import words
from notify_service.domain.alerting import Letter, observe
from notify_service.domain.mail_texts import Stationery, alert_words

NOON = datetime(2026, 11, 24, 4, 0, tzinfo=UTC)


def test_a_mail_says_the_facts_in_both_forms_and_escapes_them() -> None:
    failed = Failed("media", "compress_and_upload_image", "error", "StorageError")
    group = observe(None, Letter("0b1c", failed, "f", "no <b>room</b> & no time", 4, NOON), Rule())
    told = words(group.alerts[0], "https://rotc.example", ZoneInfo("Asia/Manila"))

    mail = alert_words(Stationery("The School", "The Unit"), told, "error", "https://rotc.example/stop")

    assert mail.subject == "[muster] error: compress_and_upload_image failed"
    assert "Error: StorageError: no <b>room</b> & no time" in mail.text
    assert "StorageError: no &lt;b&gt;room&lt;/b&gt; &amp; no time" in mail.html
    for part in (mail.text, mail.html):
        assert "https://rotc.example/api/tasks/0b1c/status/" in part
        assert "2026-11-24 12:00:00 PST" in part
        assert "https://rotc.example/stop" in part
        assert "The Unit" in part
