"""Spans of tasks by OpenTelemetry's messaging conventions, and the trace that log lines name. Metrics are metrics.py's.

One trace shows a task from its submission through every attempt: each span is a child of the context in the record's
`traceparent` (and linked to it, as the conventions want), which no retry, delay, dead letter or redrive changes. While
no exporter is configured nothing of OpenTelemetry is imported, and a span costs a comparison. Attributes hold names,
numbers and ids, never parameters, messages or order keys.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

import structlog

from muster import __version__
from muster.contracts.envelope import TaskRecord
from muster.contracts.trace_context import trace_id
from muster.observability.logging import get_logger
from muster.ports import Record
from muster.settings import TracingSettings

_log = get_logger(__name__)


class Span:
    """The place of a span while nothing is recorded. A context manager; what is raised inside marks it as failed."""

    __slots__ = ("traceparent",)

    def __init__(self, traceparent: str | None) -> None:
        #: What the record is to carry: this span where there is one, else what it carried before.
        self.traceparent = traceparent

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """There is nothing to end."""

    def failed(self, error_type: str) -> None:
        """Mark it; of an error only its class is told, since messages may name people."""


_UNRECORDED = Span(None)


class _Recorded(Span):
    __slots__ = ("_span", "_token")

    def __init__(self, span: Any, traceparent: str | None) -> None:
        super().__init__(traceparent)
        self._span = span
        self._token: Any = None

    def __enter__(self) -> Self:
        from opentelemetry import context, trace

        self._token = context.attach(trace.set_span_in_context(self._span))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        from opentelemetry import context

        if kind is not None:
            self.failed(kind.__qualname__)
        if self._token is not None:
            context.detach(self._token)
        self._span.end()

    def failed(self, error_type: str) -> None:
        from opentelemetry.trace import StatusCode

        self._span.set_attribute("error.type", error_type)
        self._span.set_status(StatusCode.ERROR)


class _Tracing:
    """The tracer of this process; None while no exporter is configured."""

    tracer: Any = None


def configure_tracing(settings: TracingSettings, service: str) -> None:
    """Record spans if the environment names an exporter (OTEL_*). Call once, before the first task.

    A provider that the process has already, an instrumented web application's say, is used as it is.
    """
    if not settings.enabled:
        return
    try:
        from muster.observability.exporting import provider_of
    except ImportError as error:
        # The variables are often set for a whole cluster: no reason not to run tasks.
        _log.warning("No spans: install muster[tracing]", action="tracing.not_installed", error=str(error))
        return
    use_provider(provider_of(settings, service))


def use_provider(provider: Any) -> None:
    """Record spans through this OpenTelemetry tracer provider; None: record none."""
    _Tracing.tracer = None if provider is None else provider.get_tracer("muster", __version__)


def name_trace(span: Span) -> None:
    """Let every log line of this asyncio task carry the span's trace id."""
    if span.traceparent and (found := trace_id(span.traceparent)):
        structlog.contextvars.bind_contextvars(trace_id=found)


def sending(task: TaskRecord, topic: str) -> Span:
    """While a new task is written; give its record the span's `traceparent`."""
    if _Tracing.tracer is None:
        return Span(task.traceparent)
    return _start("send", "PRODUCER", task, topic, {"messaging.message.body.size": len(task.body)}, is_origin=True)


def forwarded(task: TaskRecord, topic: str) -> None:
    """A task that waited was written to its lane, in a transaction of many; it goes on under the context it has."""
    if _Tracing.tracer is not None:
        _start("send", "CLIENT", task, topic, {"muster.task.released": True}).__exit__(None, None, None)


def ambient_traceparent() -> str | None:
    """The context of the caller's own span, to go with a request to the API."""
    if _Tracing.tracer is None:
        return None
    from opentelemetry import trace

    return _written(trace.get_current_span().get_span_context())


def processing(task: TaskRecord, record: Record, *, group: str, client: str) -> Span:
    """While a worker runs one delivery and settles it."""
    if _Tracing.tracer is None:
        return Span(task.traceparent)
    where = {
        "messaging.consumer.group.name": group,
        "messaging.client.id": client,
        "messaging.destination.partition.id": str(record.partition),
        "messaging.kafka.offset": record.offset,
        "messaging.message.body.size": len(record.value or b""),
    }
    return _start("process", "CONSUMER", task, record.topic, where)


def settling(task: TaskRecord, topic: str, outcome: str) -> Span:
    """Inside `processing`, while the outcome (Succeed, RetryAt, ...) is written."""
    if _Tracing.tracer is None:
        return _UNRECORDED
    return _start("settle", "CLIENT", task, topic, {"muster.task.outcome": outcome}, is_inside=True)


def _start(
    operation: str,
    kind: str,
    task: TaskRecord,
    topic: str,
    more: dict[str, Any],
    *,
    is_origin: bool = False,
    is_inside: bool = False,
) -> Span:
    from opentelemetry import trace
    from opentelemetry.context import Context

    carried = _carried(task.traceparent)
    # A span without a carried context begins a trace, unless it is a new task's: that may belong to a caller's.
    ambient = None if is_inside or (is_origin and carried is None) else Context()
    parent = ambient if is_inside or carried is None else trace.set_span_in_context(carried, Context())
    span = _Tracing.tracer.start_span(
        f"{operation} {topic}",
        context=parent,
        kind=trace.SpanKind[kind],
        attributes=_attributes(operation, task, topic) | more,
        links=[trace.Link(carried.get_span_context())] if carried is not None and operation == "process" else None,
        record_exception=False,
        set_status_on_exception=False,
    )
    return _Recorded(span, _written(span.get_span_context()) or task.traceparent)


def _written(context: Any) -> str | None:
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}" if context.is_valid else None


def _carried(traceparent: str | None) -> Any:
    """The span of another process that a record names."""
    if trace_id(traceparent) is None or traceparent is None:
        return None
    from opentelemetry import trace

    flags = trace.TraceFlags(int(traceparent[53:55], 16))
    context = trace.SpanContext(int(traceparent[3:35], 16), int(traceparent[36:52], 16), True, flags)
    return trace.NonRecordingSpan(context)


def _attributes(operation: str, task: TaskRecord, topic: str) -> dict[str, Any]:
    return {
        "messaging.system": "kafka",
        "messaging.operation.name": operation,
        "messaging.operation.type": operation,
        "messaging.destination.name": topic,
        "messaging.message.id": task.task_id,
        "muster.task.type": task.task_type,
        "muster.task.attempt": task.attempt,
        "muster.task.delivery": task.delivery,
        "muster.task.redrive": task.redrive,
    }
