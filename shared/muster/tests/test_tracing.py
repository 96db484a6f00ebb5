"""Spans of a task on the log in memory: one trace from submission to the last attempt, and nothing personal in it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from muster.client import prepare
from muster.client.catalog import CatalogReader
from muster.client.transports import KafkaTransport
from muster.contracts.dead_letter import parse_provenance
from muster.contracts.envelope import TaskRecord, parse_task
from muster.contracts.redrive import redrive
from muster.contracts.retry import RetryPolicy
from muster.contracts.trace_context import is_traceparent, trace_id
from muster.observability import tracing
from muster.observability.logging import configure_logging
from muster.settings import Settings, TracingSettings
from muster.testing import Stage, memory_stage, wait_until
from muster.worker.app import TaskApp
from muster.worker.context import Context
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from pydantic import BaseModel

CALLER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
SECRET = "maria.cruz@example.org"


class Person(BaseModel):
    mail: str


app: TaskApp[None] = TaskApp("media")


@app.task(retry=RetryPolicy(max_retries=1, base=60))
async def stumble(ctx: Context[None], params: Person) -> str:
    ctx.log.info("Working", action="test.working")
    if ctx.attempt == 1:
        raise ConnectionError(f"no connection for {params.mail}")
    return params.mail


@app.task(retry=RetryPolicy(max_retries=0))
async def fall(ctx: Context[None]) -> None:
    raise ConnectionError


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing.use_provider(provider)
    yield exporter
    tracing.use_provider(None)
    provider.shutdown()


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with memory_stage() as stage:
        yield stage


async def submit(stage: Stage, task_type: str, parameters: dict[str, Any]) -> str:
    transport = KafkaTransport(stage.broker, stage.topics, CatalogReader(stage.broker, stage.topics))
    submission = prepare(task_type, parameters, now=datetime.now(UTC), service="media")
    task_id = await transport.submit(submission, timeout=20)
    await transport.close()
    return task_id


async def run_to_its_end(stage: Stage) -> str:
    """A task that fails once; the scheduler's part is played here."""
    task_id = await submit(stage, "stumble", {"mail": SECRET})
    async with stage.worker(app):
        await wait_until(lambda: bool(stage.records(stage.topics.retry)), "the retry is written")
        [record] = stage.records(stage.topics.retry)
        task = parse_task(record.headers, record.value)
        due = msgspec.structs.replace(task, not_before=None, route=None)
        tracing.forwarded(due, stage.lane)
        await stage.put(stage.lane, due.body, due.headers(), key=due.key)
        await wait_until(lambda: "Succeeded" in stage.said(task_id), "the task succeeds")
    return task_id


def told(span: ReadableSpan) -> tuple[str, SpanKind, Any]:
    return span.name, span.kind, (span.attributes or {}).get("muster.task.attempt")


def span_id(span: ReadableSpan) -> int:
    assert span.context is not None
    return int(span.context.span_id)


async def test_one_trace_holds_submission_and_every_attempt(stage: Stage, spans: InMemorySpanExporter) -> None:
    await run_to_its_end(stage)

    found = sorted(spans.get_finished_spans(), key=lambda span: span.start_time or 0)
    lane = stage.lane
    assert [told(span) for span in found] == [
        (f"send {lane}", SpanKind.PRODUCER, 1),
        (f"process {lane}", SpanKind.CONSUMER, 1),
        (f"settle {lane}", SpanKind.CLIENT, 1),
        (f"send {lane}", SpanKind.CLIENT, 2),
        (f"process {lane}", SpanKind.CONSUMER, 2),
        (f"settle {lane}", SpanKind.CLIENT, 2),
    ]
    assert len({span.context.trace_id for span in found if span.context}) == 1
    send, first, first_end, release, second, second_end = found
    assert send.parent is None
    assert [span.parent.span_id for span in (first, release, second) if span.parent] == [span_id(send)] * 3
    assert [span.parent.span_id for span in (first_end, second_end) if span.parent] == [span_id(first), span_id(second)]
    assert [link.context.span_id for link in (*first.links, *second.links)] == [span_id(send)] * 2


async def test_the_attributes_are_those_of_the_conventions(stage: Stage, spans: InMemorySpanExporter) -> None:
    task_id = await run_to_its_end(stage)

    [failed, succeeded] = [span for span in spans.get_finished_spans() if span.name.startswith("process")]
    said = dict(failed.attributes or {})
    assert said.pop("messaging.client.id", "") != ""
    assert int(str(said.pop("messaging.kafka.offset"))) >= 0
    assert int(str(said.pop("messaging.message.body.size"))) > 0
    assert str(said.pop("messaging.destination.partition.id")).isdigit()
    assert said == {
        "messaging.system": "kafka",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": stage.lane,
        "messaging.consumer.group.name": stage.topics.group("media"),
        "messaging.message.id": task_id,
        "muster.task.type": "stumble",
        "muster.task.attempt": 1,
        "muster.task.delivery": 1,
        "muster.task.redrive": 0,
        "error.type": "ConnectionError",
    }
    assert (failed.status.status_code, succeeded.status.status_code) == (StatusCode.ERROR, StatusCode.UNSET)
    outcomes = [(span.attributes or {}).get("muster.task.outcome") for span in spans.get_finished_spans()]
    assert [outcome for outcome in outcomes if outcome] == ["RetryAt", "Succeed"]


async def test_nothing_personal_is_in_a_span(stage: Stage, spans: InMemorySpanExporter) -> None:
    await run_to_its_end(stage)

    written = "".join(span.to_json() for span in spans.get_finished_spans())
    assert "stumble" in written
    assert SECRET not in written


async def test_log_lines_of_a_task_carry_its_trace(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """Also where no span is recorded: the record carries the context anyway."""
    configure_logging(Settings(), "media")
    await stage.submit("stumble", {"mail": SECRET}, traceparent=CALLER)

    async with stage.worker(app):
        await wait_until(lambda: bool(stage.records(stage.topics.retry)), "the retry is written")

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    about = {line["action"]: line.get("trace_id") for line in lines}
    assert about["test.working"] == about["task.settled"] == trace_id(CALLER)
    assert "trace_id" not in next(line for line in lines if line["action"] == "worker.up")


async def test_a_trace_goes_on_through_dead_letter_and_redrive_as_it_was(
    stage: Stage, spans: InMemorySpanExporter
) -> None:
    await stage.submit("fall", traceparent=CALLER)

    async with stage.worker(app):
        await wait_until(lambda: bool(stage.records(stage.topics.dead_letter)), "the dead letter is written")

    [letter] = stage.records(stage.topics.dead_letter)
    again = redrive(letter.headers, letter.value, stage.topics, now=datetime.now(UTC)).task
    assert parse_provenance(letter.headers).traceparent == again.traceparent == CALLER
    [process] = [span for span in spans.get_finished_spans() if span.name.startswith("process")]
    assert process.parent is not None
    assert (f"{process.parent.trace_id:032x}", f"{process.parent.span_id:016x}") == (CALLER[3:35], CALLER[36:52])


@pytest.mark.parametrize(
    "raw",
    [
        *(b"", b"nonsense", b"\xff\xfe", b"00-0-0-0", CALLER[:-1].encode(), CALLER.upper().encode(), b"x" * 5000),
        *(b"00-" + b"0" * 32 + b"-00f067aa0ba902b7-01", b"ff" + CALLER[2:].encode(), CALLER.encode() + b"-more"),
    ],
)
async def test_a_trace_context_that_is_none_never_harms_its_task(
    stage: Stage, spans: InMemorySpanExporter, raw: bytes
) -> None:
    task = TaskRecord(task_id="t1", task_type="fall", body=b"{}")
    await stage.put(stage.lane, task.body, [*task.headers(), ("traceparent", raw)], key=task.key)

    async with stage.worker(app):
        await wait_until(lambda: bool(stage.records(stage.topics.dead_letter)), "the task has run")

    assert dict(stage.records(stage.topics.dead_letter)[0].headers)["dl-kind"] == b"error"
    [process] = [span for span in spans.get_finished_spans() if span.name.startswith("process")]
    assert process.parent is None


async def test_a_caller_that_does_not_sample_is_not_sampled(stage: Stage, spans: InMemorySpanExporter) -> None:
    task_id = await stage.submit("stumble", {"mail": SECRET}, traceparent=CALLER[:-1] + "0", attempt=2)

    async with stage.worker(app):
        await wait_until(lambda: "Succeeded" in stage.said(task_id), "the task succeeds")

    assert spans.get_finished_spans() == ()


def test_a_later_version_of_the_standard_is_understood() -> None:
    assert is_traceparent("01" + CALLER[2:] + "-what.comes")
    assert trace_id(CALLER) == "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.mark.parametrize(
    ("environment", "enabled"),
    [
        ({}, False),
        ({"traces_exporter": "none", "exporter_otlp_endpoint": "http://collector:4318"}, False),
        ({"exporter_otlp_endpoint": "http://collector:4318"}, True),
        ({"exporter_otlp_traces_endpoint": "http://collector:4318/v1/traces"}, True),
        ({"traces_exporter": "otlp"}, True),
        ({"traces_exporter": "console", "sdk_disabled": True}, False),
    ],
)
def test_spans_are_recorded_where_an_exporter_is_configured(environment: dict[str, Any], enabled: bool) -> None:
    assert TracingSettings(**environment).enabled is enabled


def test_a_process_without_an_exporter_never_imports_opentelemetry() -> None:
    code = """if True:
        import sys, muster.bootstrap, muster.connect
        from muster.contracts.envelope import TaskRecord
        from muster.observability.tracing import configure_tracing, sending
        from muster.settings import TracingSettings
        configure_tracing(TracingSettings(), "media")
        with sending(TaskRecord(task_id="t", task_type="t", body=b""), "lane") as span:
            assert span.traceparent is None
        print(sorted(name for name in sys.modules if name.startswith("opentelemetry")))"""
    shown = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)  # noqa: S603

    assert shown.stdout.strip() == "[]"
