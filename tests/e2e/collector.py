"""An OpenTelemetry collector of a test's own: takes OTLP over HTTP and keeps the spans it decodes. Asserts nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from muster_local.ports import LOOPBACK
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span


class Told(NamedTuple):
    """One span as its process told it; ids in hex."""

    service: str
    name: str
    kind: str
    trace: str
    span: str
    parent: str
    began: int
    attributes: dict[str, Any]


class Collector:
    """Every span that came, in the order in which it came."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._spans: list[Told] = []
        self._lock = threading.Lock()

    def take(self, body: bytes) -> None:
        request = ExportTraceServiceRequest.FromString(body)
        with self._lock:
            for resource in request.resource_spans:
                service = _values(resource.resource.attributes).get("service.name", "")
                self._spans += [_told(service, span) for scope in resource.scope_spans for span in scope.spans]

    def trace(self, trace_id: str) -> list[Told]:
        """The spans of one trace, as they began."""
        with self._lock:
            return sorted((one for one in self._spans if one.trace == trace_id), key=lambda one: one.began)


@contextmanager
def collector() -> Iterator[Collector]:
    """A collector that listens on a port of its own."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            found.take(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *said: object) -> None:
            """The test's output is not the place for it."""

    server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
    found = Collector(f"http://{LOOPBACK}:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _told(service: str, span: Span) -> Told:
    return Told(
        service, span.name, Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"), span.trace_id.hex(),
        span.span_id.hex(), span.parent_span_id.hex(), span.start_time_unix_nano, _values(span.attributes),
    )  # fmt: skip


def _values(attributes: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}
