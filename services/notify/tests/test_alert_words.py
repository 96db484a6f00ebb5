"""The words of an alert: the backend's own sentence, how often, where to look, and nothing that may not be said."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from muster.contracts.topics import Topics
from muster.ports import Record
from notify_service.alerts.letters import letter_of
from notify_service.domain.alert_rules import Failed, Rule
from notify_service.domain.alert_text import words
from notify_service.domain.alerting import Alert, Letter, advance, observe

NOON = datetime(2026, 11, 24, 4, 0, tzinfo=UTC)
MANILA = ZoneInfo("Asia/Manila")


def alerts(message: str = "storage said no", count: int = 1) -> list[Alert]:
    failed = Failed("media", "compress_and_upload_image", "error", "StorageError")
    one = Letter("0b1c", failed, "f", message, 4, NOON)
    group = observe(None, one, Rule())
    for _ in range(count - 1):
        observe(group, one, Rule())
    advance(group, Rule(), NOON + timedelta(days=1))
    return group.alerts


def test_the_line_in_the_app_is_the_backends_and_says_how_often_and_where() -> None:
    (first,) = alerts()

    assert words(first, "https://rotc.example/", MANILA).line == (
        "Background task failed: compress_and_upload_image. Error: StorageError: storage said no. It is the first "
        "failure of its kind, after 4 attempts. https://rotc.example/api/tasks/0b1c/status/"
    )


def test_a_digest_says_how_many_more_and_until_when() -> None:
    _, digest = alerts(count=10_000)
    told = words(digest, "", MANILA)

    assert told.line == (
        "Background task failed: compress_and_upload_image. Error: StorageError: storage said no. "
        "9,999 more failures of the same kind, 10,000 in all, the last at 2026-11-24 12:00:00 PST."
    )
    assert told.subject == "[muster] error: compress_and_upload_image failed 9,999 more times"
    assert told.link is None


def test_a_long_error_is_cut_to_what_the_backend_showed() -> None:
    (first,) = alerts("x" * 5_000)

    assert len(words(first, "", MANILA).line) < 400


def test_a_message_over_several_lines_stays_on_one_line_of_a_subject() -> None:
    (first,) = alerts("one\r\nBcc: somebody\n\n two")
    told = words(first, "", MANILA)

    assert "\n" not in told.subject
    assert "StorageError: one Bcc: somebody two" in told.line


@pytest.mark.parametrize(
    ("headers", "kind"),
    [
        ((), "unreadable"),
        ((("dl-provenance", b"{"),), "unreadable"),
        ((("dl-provenance", b'{"task_id": 5}'),), "unreadable"),
    ],
)
def test_a_dead_letter_that_cannot_be_read_is_told_as_such(headers: tuple[tuple[str, bytes], ...], kind: str) -> None:
    record = Record("tasks.dead-letter", 1, 7, 0, b"key", b"x", headers)

    letter = letter_of(record, Topics(), NOON)

    assert letter.failed.kind == kind
    assert letter.task_id
    assert letter.at == datetime(1970, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("milliseconds", [-1, 2**62, 253_402_300_800_000])
def test_a_producers_clock_can_be_as_wrong_as_it_likes(milliseconds: int) -> None:
    record = Record("tasks.dead-letter", 1, 7, milliseconds, None, None, ())

    assert letter_of(record, Topics(), NOON).at <= NOON


def test_a_task_type_cannot_write_a_header_of_the_mail() -> None:
    failure = {"kind": "error", "error": "E\x1b[31m", "message": "m"}
    why = {
        "task_id": "1", "task_type": "x\r\nBcc: all@unit.example", "topic": "t", "partition": 0, "offset": 0,
        "timestamp_ms": 0, "attempt": 1, "delivery": 1, "failure": failure, "failed_at": "2026-11-24T04:00:00Z",
    }  # fmt: skip
    record = Record("t.dead", 1, 7, 0, None, None, (("dl-provenance", json.dumps(why).encode()),))

    failed = letter_of(record, Topics(), NOON).failed

    assert (failed.task, failed.error) == ("x Bcc: all@unit.example", "E [31m")
