"""What a log line looks like, and what may never stand in one."""

from __future__ import annotations

import json
import logging
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from muster.observability.logging import configure_logging, format_exception, get_logger
from muster.observability.redaction import HIDDEN, is_secret_key, redact, redact_text
from muster.settings import Settings


@pytest.fixture(autouse=True)
def restored_logging() -> Iterator[None]:
    root, hook = logging.getLogger(), sys.excepthook
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:], sys.excepthook = handlers, hook
    root.setLevel(level)
    logging.captureWarnings(False)
    structlog.reset_defaults()


def entries(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_an_entry_is_one_json_line_with_the_common_keys_first(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(Settings(), "media")
    get_logger("muster.worker").info("Task will retry", action="task.retry", task_id="a", attempt=2)
    (entry,) = entries(capsys)
    assert list(entry) == ["time", "level", "service", "action", "message", "logger", "task_id", "attempt"]
    assert entry["service"] == "media"
    assert entry["time"].endswith("Z")


def test_entries_of_libraries_take_the_same_way(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(Settings(), "media")
    logging.getLogger("aiokafka.consumer").warning("Heartbeat failed for %s", "group")
    logging.getLogger("aiokafka.consumer").info("normal work of a library is not ours to report")
    (entry,) = entries(capsys)
    assert (entry["action"], entry["level"]) == ("log.aiokafka", "warning")
    assert entry["message"] == "Heartbeat failed for group"


def test_warnings_become_entries(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(Settings(), "media")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        warnings.warn("careful", stacklevel=1)
    assert "careful" in entries(capsys)[0]["message"]


def test_a_broken_format_string_of_a_library_stops_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(Settings(), "media")
    (ours,) = [handler for handler in logging.getLogger().handlers if "Library" in type(handler).__name__]
    ours.handle(logging.LogRecord("lib", logging.WARNING, "lib.py", 1, "%d files", ("many",), None))
    assert entries(capsys)[0]["message"] == "%d files ('many',)"


def test_the_level_comes_from_the_settings(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(Settings(log_level="warning"), "media")
    get_logger("muster.a").info("no", action="a")
    get_logger("muster.b").warning("yes", action="b")
    assert [entry["action"] for entry in entries(capsys)] == ["b"]


def test_bound_context_travels_with_every_entry(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(Settings(), "media")
    with structlog.contextvars.bound_contextvars(task_id="t1"):
        get_logger("muster.c").info("in a task", action="c")
        logging.getLogger("lib").warning("in a library")
    assert [entry["task_id"] for entry in entries(capsys)] == ["t1", "t1"]


def test_an_exception_is_rendered_bounded_and_redacted(capsys: pytest.CaptureFixture[str]) -> None:
    def dig(depth: int) -> None:
        if depth == 0:
            raise ValueError("postgresql://rotc:hunter2@db/rotc " + "x " * 20_000)
        dig(depth - 1)

    configure_logging(Settings(), "media")
    try:
        dig(200)
    except ValueError:
        get_logger("muster.d").exception("It broke", action="d")
    (entry,) = entries(capsys)
    assert entry["error_type"] == "ValueError"
    assert len(entry["exception"]) < 9_000
    assert "hunter2" not in entry["exception"]


def test_the_traceback_keeps_its_end() -> None:
    assert format_exception(ValueError("the reason"), limit=30).endswith("the reason")


@pytest.mark.parametrize("value", ["odd \ud800", 2**80, float("nan"), {1: {2: 3}}, object(), b"raw", {"a", "b"}])
def test_no_value_breaks_the_line(capsys: pytest.CaptureFixture[str], value: object) -> None:
    configure_logging(Settings(), "media")
    get_logger("muster.e").info("odd value", action="e", value=value)
    assert entries(capsys)[0]["action"] == "e"


def test_the_console_form_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(Settings(log_format="console"), "media")
    get_logger("muster.f").info("Worker is ready", action="worker.ready", token="s3cret")
    out = capsys.readouterr().out
    assert "Worker is ready" in out
    assert "s3cret" not in out


@pytest.mark.parametrize(
    "key",
    [
        "password",
        "DB_PASSWORD",
        "apiKey",
        "x-api-key",
        "Authorization",
        "Set-Cookie",
        "accessToken",
        "tokens",
        "dsn",
        "image_data",
        "email",
        "recipient_email",
        "recipients",
        "emergencyContact",
        "homeAddress",
        "birthdate",
    ],
)
def test_these_keys_are_hidden(key: str) -> None:
    assert is_secret_key(key)


@pytest.mark.parametrize(
    "key", ["task_id", "attempt", "key", "email_status", "session_timeout", "topic", "message", ""]
)
def test_these_keys_are_shown(key: str) -> None:
    assert not is_secret_key(key)


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("redis://:p4ss@cache:6379/0", "p4ss"),
        ("postgresql://rotc:p@ss@db:5432/rotc", "p@ss"),
        ("Authorization: Bearer abc.def-123456", "abc.def"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln sent", "eyJzdWIi"),
        ("host=db password=hunter2 dbname=rotc", "hunter2"),
        ("https://api/upload?api_key=12345&signature=beef", "beef"),
        ('{"client_secret": "topsecret"}', "topsecret"),
        ("mail to juan.delacruz+rotc@example.edu.ph failed", "juan"),
        ("data:image/png;base64," + "iVBORw0KGgo" * 40, "iVBORw0KGgo"),
        ("x" * 1990 + " postgresql://rotc:" + "s3cr3t" * 90 + "@db/rotc and more text than fits" * 40, "s3cr3t"),
    ],
)
def test_secrets_inside_texts_are_taken_out(text: str, secret: str) -> None:
    assert secret not in redact_text(text)


def test_harmless_texts_stay_as_they_are() -> None:
    text = "Read 3 images of https://host:8080/a/b?size=3 at 10:30, see task 1b2c (the password was wrong)"
    assert redact_text(text) == text


def test_nested_values_are_bounded_and_hidden() -> None:
    clean = redact({"a": [{"token": "x", "n": 1}] * 80, "deep": [[[[[[[1]]]]]]]})
    assert clean["a"][0] == {"token": HIDDEN, "n": 1}
    assert clean["a"][-1] == "[30 more]"
    assert "nested too deeply" in str(clean["deep"])


def test_a_long_text_says_how_long_it_was() -> None:
    assert redact_text("word " * 5_000).endswith("... [25,000 characters in all]")
