"""Records written by other Kafka clients, which know nothing of Muster, are run and tracked like any other."""

from __future__ import annotations

import json
import shutil
import subprocess
import uuid
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from muster.contracts.topics import Lane
from muster_local.home import cache
from muster_local.jars import ensure_jars
from muster_local.kafka_runtime import KafkaOptions, KafkaRuntime

from . import pictures
from .api import Api, Body
from .foreign import ForeignClient
from .system import System

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.e2e]
COMPRESS = "compress_and_upload_image"
CADET = 7


@pytest.fixture(scope="module", autouse=True)
def _worker(system: System) -> None:
    system.media().start()
    with closing(Api(system)) as api:
        api.knows(COMPRESS)


@pytest.fixture
def body() -> str:
    """Parameters in one line, small enough for a command line."""
    return json.dumps(pictures.upload_of(pictures.jpeg(32, 32), entity_id=CADET))


def pipe(text: str, command: list[str]) -> None:
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603
    assert done.returncode == 0, done.stderr


def check_photo(system: System, api: Api, task_id: str) -> Body:
    """The photo was stored, written down, and its task tells of it as of any other."""
    status = api.ended(task_id)
    assert (status["status"], status["name"], status["attempt"]) == ("SUCCESS", COMPRESS, 1)
    assert status["submitted_at"] <= status["started_at"] <= status["finished_at"]
    stored = system.query("SELECT profile_pic FROM cadets WHERE id = $1", CADET)
    assert status["result"]["url"] == stored
    return api.details(task_id)


def test_librdkafka_writes_a_task_with_two_headers(system: System, api: Api, foreign: ForeignClient, body: str) -> None:
    task_id = uuid.uuid4().hex

    foreign.write(system.topics.lane("media"), body.encode(), {"ce_id": task_id, "ce_type": COMPRESS})

    details = check_photo(system, api, task_id)
    assert (details["service"], details["lane"], details["submitter"]) == ("media", "default", None)


@pytest.mark.parametrize("compression", ["gzip", "snappy", "lz4", "zstd"])
def test_every_compression_of_kafka_is_read(system: System, api: Api, kafka: str, body: str, compression: str) -> None:
    task_id = uuid.uuid4().hex
    headers = {"ce_id": task_id, "ce_type": COMPRESS}

    # Long enough that compressing it pays.
    ForeignClient(kafka, compression).write(system.topics.lane("media"), body.encode() + b" " * 10_000, headers)

    check_photo(system, api, task_id)


def test_the_optional_headers_are_honoured(system: System, api: Api, foreign: ForeignClient, body: str) -> None:
    task_id, due = uuid.uuid4().hex, datetime.now(UTC) + timedelta(seconds=3)
    headers = {
        "ce_specversion": "1.0",
        "ce_id": task_id,
        "ce_type": COMPRESS,
        "ce_source": "urn:unit:records-office",
        "ce_time": "2026-01-31T08:00:00+08:00",
        "content-type": "application/json",
        "task-notbefore": due.isoformat(),
        "task-submitter": "1",
        "x-of-their-own": "kept",
    }

    foreign.write(system.topics.lane("media", Lane.HIGH), body.encode(), headers)

    details = check_photo(system, api, task_id)
    assert (details["lane"], details["submitter"]) == ("high", 1)
    assert details["submitted_at"] == "2026-01-31T00:00:00Z"
    assert datetime.fromisoformat(details["started_at"]) >= due, "never early"


def test_a_task_written_twice_runs_under_one_id(system: System, api: Api, foreign: ForeignClient, body: str) -> None:
    """A producer that repeats itself after a lost answer: two runs at most, one task."""
    headers = {"ce_id": uuid.uuid4().hex, "ce_type": COMPRESS}
    for _ in range(2):
        foreign.write(system.topics.lane("media"), body.encode(), headers)

    check_photo(system, api, headers["ce_id"])


def test_tasks_with_an_order_key_run_one_after_another(
    system: System, api: Api, foreign: ForeignClient, body: str
) -> None:
    lane, door = system.topics.lane("media"), system.topics.keyed
    headers = [{"ce_id": uuid.uuid4().hex, "ce_type": COMPRESS, "task-key": "cadet-7"} for _ in range(4)]
    # By the door, with and without a route; a lane is a detour to the same door.
    for wanted, route in zip(headers[:3], ({"task-route": lane}, {}, {"task-route": lane}), strict=True):
        foreign.write(door, body.encode(), wanted | route, key=b"cadet-7")
    foreign.write(lane, body.encode(), headers[3], key=b"cadet-7")

    assert [api.ended(wanted["ce_id"])["status"] for wanted in headers] == ["SUCCESS"] * 4
    details = [api.details(wanted["ce_id"]) for wanted in headers]
    assert {told["lane"] for told in details} == {"default"}
    spans = [(told["started_at"], told["finished_at"]) for told in details]
    # The fourth took its place when a worker met it: in front of whom, is its own affair.
    assert spans[:3] == sorted(spans[:3])
    assert all(front[1] <= behind[0] for front, behind in pairwise(sorted(spans))), spans


def test_kafkas_own_console_producer_writes_a_task(system: System, api: Api, body: str) -> None:
    task_id = uuid.uuid4().hex
    runtime = KafkaRuntime(ensure_jars(cache()), cache())
    command = runtime.command(
        KafkaOptions(heap_megabytes=64, quick_compiler=True),
        "org.apache.kafka.tools.ConsoleProducer",
        *("--bootstrap-server", system.kafka, "--topic", system.topics.lane("media")),
        *("--reader-property", "parse.headers=true"),
    )

    line = f"ce_id:{task_id},ce_type:{COMPRESS}\t{body}\n"
    pipe(line, command)

    check_photo(system, api, task_id)


@pytest.mark.skipif(shutil.which("kcat") is None, reason="kcat is not installed")
def test_kcat_writes_a_task(system: System, api: Api, body: str) -> None:
    task_id = uuid.uuid4().hex
    headers = ("-H", f"ce_id={task_id}", "-H", f"ce_type={COMPRESS}")
    command = ["kcat", "-P", "-b", system.kafka, "-t", system.topics.lane("media"), *headers]

    pipe(body, command)

    check_photo(system, api, task_id)
