"""The OpenTelemetry SDK as the standard variables set it up: OTLP over HTTP, or the console. For tracing.py alone.

Sampling, headers, timeouts, batch sizes and resource attributes are read by the SDK itself, under their standard names.
"""

from __future__ import annotations

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter

from muster import __version__
from muster.settings import TracingSettings


def provider_of(settings: TracingSettings, service: str) -> TracerProvider:
    """The provider that the process has, or a new one; it writes what is left when the process ends."""
    there = trace.get_tracer_provider()
    if isinstance(there, TracerProvider):
        return there
    named = {} if settings.service_name else {SERVICE_NAME: f"muster-{service}"}
    provider = TracerProvider(resource=Resource.create({**named, SERVICE_VERSION: __version__}))
    exporter: SpanExporter = ConsoleSpanExporter() if settings.traces_exporter == "console" else OTLPSpanExporter()
    provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return provider
