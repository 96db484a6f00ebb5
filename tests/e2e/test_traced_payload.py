"""A task with large parameters that fails once, seen from outside: one trace through five processes, one payload."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .api import Api, wait_until
from .collector import Collector, collector
from .system import System

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.e2e]
TRACE, CALLER_SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
BALLAST = "x" * 100_000


@pytest.fixture(scope="module")
def spans() -> Iterator[Collector]:
    with collector() as found:
        yield found


@pytest.fixture(scope="module")
def payloads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("payloads")


@pytest.fixture(scope="module")
def environment(spans: Collector, payloads: Path) -> dict[str, str]:
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": spans.url,
        "OTEL_BSP_SCHEDULE_DELAY": "200",
        "MUSTER_CLAIMS_URL": f"file://{payloads}",
        "MUSTER_CLAIMS_THRESHOLD_BYTES": "1024",
    }


def test_one_trace_and_one_payload_through_a_retry(system: System, api: Api, spans: Collector, payloads: Path) -> None:
    worker = system.practice().start()
    api.knows("stumble")
    api.client.headers["traceparent"] = f"00-{TRACE}-{CALLER_SPAN}-01"

    task_id = api.submit("stumble", {"times": 1, "ballast": BALLAST})

    assert api.ended(task_id)["status"] == "SUCCESS"
    wait_until(lambda: len(spans.trace(TRACE)) >= 6, "all spans have come")
    lane, found = system.topics.lane("notify"), spans.trace(TRACE)
    # Sorted: the scheduler's span says that its transaction stands, and the worker may have begun by then.
    assert sorted((one.service, one.name, one.kind, one.attributes["muster.task.attempt"]) for one in found) == [
        ("muster-notify", f"process {lane}", "CONSUMER", 1),
        ("muster-notify", f"process {lane}", "CONSUMER", 2),
        ("muster-notify", f"settle {lane}", "CLIENT", 1),
        ("muster-notify", f"settle {lane}", "CLIENT", 2),
        ("muster-scheduler", f"send {lane}", "CLIENT", 2),
        ("muster-tracker", f"send {lane}", "PRODUCER", 1),
    ]
    [sent] = [one for one in found if one.kind == "PRODUCER"]
    others = [one for one in found if one is not sent]
    assert sent.parent == CALLER_SPAN
    assert {one.parent for one in others if not one.name.startswith("settle")} == {sent.span}
    assert {one.attributes["messaging.message.id"] for one in found} == {task_id}

    [payload] = [path for path in payloads.rglob("*") if path.is_file()]
    assert payload.parent.name == task_id
    assert BALLAST in payload.read_text()
    size = system.query("SELECT parameters_bytes FROM muster.tasks WHERE task_id = $1", task_id)
    assert size == payload.stat().st_size
    assert worker.drain() == 0
