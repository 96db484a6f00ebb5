"""One log pipeline for our own entries and those of libraries: JSON lines on stdout, or text for people.

Every entry has time, level, service, action (a stable machine key), message and logger. What is hidden: redaction.py.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import traceback
from collections.abc import MutableMapping
from types import TracebackType
from typing import Any

import msgspec
import structlog
from structlog.typing import FilteringBoundLogger, Processor

from muster.observability.redaction import redact, redact_text
from muster.settings import Settings

TRACEBACK_LIMIT = 8_000
_FRAMES = 25
_FIRST = ("time", "level", "service", "action", "message", "logger")
#: Libraries that report their normal work at INFO; seen when MUSTER_LOG_LEVEL=debug.
_CHATTY = ("aiokafka", "httpx", "httpcore", "asyncio", "uvicorn.access", "uvicorn.error", "urllib3")

Entry = MutableMapping[str, Any]


def get_logger(name: str) -> FilteringBoundLogger:
    """A logger of this name: `log.info("Task will retry", action="task.retry", task_id=...)`."""
    logger: FilteringBoundLogger = structlog.get_logger(name)
    return logger


def configure_logging(settings: Settings, service: str) -> None:
    """Send everything this process logs through one pipeline. Call once, before the first entry."""
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    shared = _processors(service)
    render = _console() if settings.log_format == "console" else render_json
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, structlog.processors.add_log_level, *shared, render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=_NamedLogger,
        cache_logger_on_first_use=True,
    )
    _route_stdlib(level, _LibraryHandler([structlog.contextvars.merge_contextvars, *shared, render]))
    sys.excepthook = _log_crash


def format_exception(error: BaseException, *, limit: int = TRACEBACK_LIMIT) -> str:
    """The traceback as text: its innermost frames, redacted, at most `limit` characters of its end."""
    text = "".join(traceback.TracebackException.from_exception(error, limit=-_FRAMES, max_group_width=5).format())
    # The end names the error itself, so the beginning is what is cut away.
    kept = text if len(text) <= limit else f"[{len(text) - limit:,} characters cut]\n{text[-limit:]}"
    return redact_text(kept.rstrip(), limit=limit + 100)


def render_json(_logger: object, _method: str, entry: Entry) -> str:
    """The entry as one JSON line, the common keys first."""
    ordered = {key: entry[key] for key in _FIRST if key in entry} | dict(entry)
    try:
        return msgspec.json.encode(ordered).decode()
    except (TypeError, ValueError, OverflowError, msgspec.MsgspecError):
        # Lone surrogates and integers past 64 bits: rare, but a log line must not be lost to them.
        return json.dumps(ordered, default=str)


def _processors(service: str) -> list[Processor]:
    def name_origin(logger: object, _method: str, entry: Entry) -> Entry:
        entry["service"] = service
        entry.setdefault("logger", getattr(logger, "name", "unnamed"))
        return entry

    # What callers gave is redacted first; what is added after that is known to be clean.
    return [
        _redact_entry,
        name_origin,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        structlog.processors.EventRenamer("message"),
        _ensure_action,
        _render_exception,
    ]


def _ensure_action(_logger: object, _method: str, entry: Entry) -> Entry:
    entry.setdefault("action", f"log.{str(entry.get('logger', 'unnamed')).split('.')[0]}")
    return entry


def _render_exception(_logger: object, method: str, entry: Entry) -> Entry:
    found = entry.pop("exc_info", None)
    error = found if isinstance(found, BaseException) else found[1] if isinstance(found, tuple) else None
    if error is None and (found or method == "exception"):
        error = sys.exc_info()[1]
    if error is not None:
        entry["error_type"] = type(error).__qualname__
        entry["exception"] = format_exception(error)
    return entry


def _redact_entry(_logger: object, _method: str, entry: Entry) -> Entry:
    error = entry.pop("exc_info", None)
    clean: Entry = redact(entry)
    if error is not None:
        clean["exc_info"] = error
    return clean


def _console() -> Processor:
    return structlog.dev.ConsoleRenderer(
        colors=sys.stdout.isatty(), timestamp_key="time", event_key="message", sort_keys=False, pad_event_to=40
    )


class _Stdout:
    """The process's current `sys.stdout`, one whole line at a time; a closed pipe ends the log, not the service."""

    _lock = threading.Lock()

    def write_line(self, line: str) -> None:
        with self._lock:
            try:
                sys.stdout.write(f"{line}\n")
                sys.stdout.flush()
            except (OSError, ValueError):
                return


class _NamedLogger:
    """Where rendered entries of one logger go; structlog calls the method of the entry's level."""

    def __init__(self, name: str = "unnamed") -> None:
        self.name = name
        self._stdout = _Stdout()

    def write(self, message: str) -> None:
        self._stdout.write_line(message)

    debug = info = warning = error = critical = write


class _LibraryHandler(logging.Handler):
    """Takes entries of the standard library's logging through our processors."""

    def __init__(self, processors: list[Processor]) -> None:
        super().__init__()
        self._processors = processors
        self._stdout = _Stdout()

    def emit(self, record: logging.LogRecord) -> None:
        entry: Any = {"event": _message(record), "level": record.levelname.lower(), "logger": record.name}
        if action := getattr(record, "action", None):
            entry["action"] = action
        if record.exc_info and record.exc_info[1]:
            entry["exc_info"] = record.exc_info[1]
        for processor in self._processors:
            entry = processor(None, "log", entry)
        self._stdout.write_line(entry)


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001  a library's broken format string may not stop the service
        return f"{record.msg} {record.args!r}"


def _route_stdlib(level: int, handler: logging.Handler) -> None:
    root = logging.getLogger()
    for old in [h for h in root.handlers if isinstance(h, _LibraryHandler) or type(h) is logging.StreamHandler]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level)
    for name in _CHATTY:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(level if level <= logging.DEBUG else max(level, logging.WARNING))
    logging.captureWarnings(True)


def _log_crash(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    get_logger("muster.process").critical("The process crashed", action="process.crashed", exc_info=error)
