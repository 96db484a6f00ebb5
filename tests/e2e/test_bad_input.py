"""Bad input of every kind: each one clear error in the status, nothing lost, nothing uploaded, and the worker lives."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest
from muster.contracts.dead_letter import nameless_id

from . import pictures
from .api import Api, Body
from .foreign import ForeignClient
from .pictures import upload_of
from .program import Program
from .system import System

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.e2e]
COMPRESS = "compress_and_upload_image"
GOOD = pictures.jpeg()


@pytest.fixture(scope="module")
def worker(system: System) -> Program:
    program = system.media().start()
    with closing(Api(system)) as api:
        api.knows(COMPRESS)
    return program


@pytest.fixture(autouse=True)
def _nothing_is_uploaded_and_the_worker_lives(system: System, worker: Program, api: Api) -> Iterator[None]:
    process = worker.identity
    yield
    assert stored_files(system) == 0, "nothing bad was uploaded"
    good = api.ended(api.submit(COMPRESS, upload_of(GOOD)))
    assert good["status"] == "SUCCESS"
    assert stored_files(system) > 0
    assert worker.alive
    assert worker.identity == process, "the same process as before"
    shutil.rmtree(system.uploads)


def stored_files(system: System) -> int:
    return sum(1 for path in system.uploads.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (
            lambda: upload_of(b"not an image"),
            "The file is of no known type: profile_pic takes a JPEG",
        ),
        (lambda: upload_of(GOOD[: len(GOOD) // 2]), "The JPEG picture is truncated or damaged: export it again"),
        (lambda: upload_of(pictures.huge_png()), "The picture has 200.0 megapixels, at most 50 are accepted"),
        (lambda: upload_of(GOOD.ljust(11 * pictures.MB, b"\0")), "The file has 11.0 MB, at most 10 MB are accepted."),
        (lambda: upload_of(GOOD, entity_id=999_999), "No cadet has id 999999."),
        (
            lambda: {**upload_of(GOOD), "image_data": "%%%"},
            "The file is neither base64 text, nor a data: URL",
        ),
        (
            lambda: {**upload_of(GOOD), "image_data": "https://example.com/a.jpg"},
            "Files are not fetched from 'example.com'",
        ),
    ],
    ids=["no image", "truncated", "20,000 x 10,000 pixels", "11 MB", "unknown entity", "no base64", "foreign host"],
)
def test_a_bad_file_fails_for_good_with_one_sentence(api: Api, parameters: Callable[[], Body], message: str) -> None:
    status = api.ended(api.submit(COMPRESS, parameters()))

    assert (status["status"], status["error"]["kind"]) == ("FAILURE", "permanent")
    assert status["error"]["message"].startswith(message)
    assert "\n" not in status["error"]["message"]
    assert status["attempt"] == 1, "it is not tried again"


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"image": "x"}, ["image"]),
        ({"entity_id": "seven", "quality": 101}, ["entity_id", "quality"]),
        ({"entity_type": "portrait"}, ["entity_type"]),
        ({"max_size": [0, "wide"]}, ["max_size.0", "max_size.1"]),
    ],
    ids=["unknown name", "wrong type and range", "unknown kind of entity", "inside a list"],
)
def test_wrong_parameters_are_named_one_by_one(
    system: System, api: Api, foreign: ForeignClient, change: dict[str, Any], fields: list[str]
) -> None:
    parameters = {**upload_of(GOOD), **change}

    # The API refuses them at once; past the API, the worker does.
    refusal = api.client.post("/tasks", json={"name": COMPRESS, "parameters": parameters})
    status = status_of(api, foreign, system, json.dumps(parameters).encode(), {"ce_type": COMPRESS})

    assert refusal.status_code == httpx.codes.UNPROCESSABLE_ENTITY
    assert named(refusal.json()["details"]["problems"]) == fields
    assert (status["status"], status["error"]["kind"]) == ("FAILURE", "invalid")
    assert named(status["error"]["problems"]) == fields
    assert all(field in status["error"]["message"] for field in fields)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (b'{"image_data": ', "the record's value is not JSON"),
        (b"\xff\xfe\x00", "the record's value is not JSON"),
        (b"[1, 2]", "the record's value must be one JSON object of parameters, not an array"),
        (b"[" * 100_000, "the record's value is not JSON"),
    ],
    ids=["broken off", "no text", "an array", "nested a hundred thousand deep"],
)
def test_a_record_that_is_no_json_object_fails_and_is_kept_as_it_was(
    system: System, api: Api, foreign: ForeignClient, value: bytes, message: str
) -> None:
    status = status_of(api, foreign, system, value, {"ce_type": COMPRESS})

    assert (status["status"], status["error"]["kind"]) == ("FAILURE", "invalid")
    assert status["error"]["message"].startswith(message)
    assert kept(api, foreign, status["task_id"]) == value


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        (
            {"ce_id": "{new}"},
            "header ce_type (the task type) must be a name such as generate_pdf_report",
        ),
        ({"ce_type": COMPRESS}, "header ce_id (the task id) must be 1 to 200 printable ASCII characters"),
        ({}, "header ce_id (the task id) must be 1 to 200 printable ASCII characters"),
        ({"ce_id": "{new}", "ce_type": COMPRESS, "task-attempt": "many"}, "header task-attempt must be a whole number"),
        ({"ce_id": "{new}", "ce_type": COMPRESS, "task-expires": "soon"}, "header task-expires must be an RFC 3339"),
    ],
    ids=["no type", "no id", "no headers", "attempt is no number", "expires is no instant"],
)
def test_a_record_with_bad_headers_fails_under_an_id_of_its_own(
    system: System, api: Api, foreign: ForeignClient, headers: dict[str, str], message: str
) -> None:
    task_id = uuid.uuid4().hex
    lane = system.topics.lane("media")
    given = {name: value.format(new=task_id) for name, value in headers.items()}

    partition, offset = foreign.write(lane, b'{"kept": true}', given)

    # A record without an id gets one from its place in Kafka, so that it can be asked for at all.
    status = api.ended(given.get("ce_id") or nameless_id(lane, partition, offset))
    assert (status["status"], status["error"]["kind"]) == ("FAILURE", "invalid")
    assert status["error"]["message"].startswith(message)
    assert kept(api, foreign, status["task_id"]) == b'{"kept": true}'


DEEP = b'{"x": ' + b"[" * 100_000


@pytest.mark.parametrize(
    "value", [b"", b"{broken", b"\xff\xfe\x00", b"[]", DEEP], ids=["empty", "broken", "no text", "array", "deep"]
)
def test_nonsense_in_a_topic_of_the_system_stops_nobody(
    system: System, api: Api, foreign: ForeignClient, value: bytes
) -> None:
    topics, headers = system.topics, {"ce_id": "nonsense", "task-failure": DEEP.decode(), "dl-provenance": "{"}
    before = api.client.get("/workers").json()["workers"]

    for topic in (topics.events, topics.control, topics.workers, topics.retry, topics.dead_letter, topics.catalog):
        foreign.write(topic, value, headers, key=b"\xff")

    # The tracker has read past it, and everybody is who they were.
    assert api.ended(api.submit(COMPRESS, upload_of(b"bad")))["status"] == "FAILURE"
    assert all(program.alive for program in system.programs)
    after = api.client.get("/workers").json()["workers"]
    assert [worker["worker"] for worker in after] == [worker["worker"] for worker in before]


def test_a_task_type_nobody_knows_waits_for_a_worker_that_does(
    system: System, api: Api, foreign: ForeignClient
) -> None:
    task_id = uuid.uuid4().hex
    foreign.write(system.topics.lane("media"), b"{}", {"ce_id": task_id, "ce_type": "make_coffee"})

    api.wait_for_state(task_id, "RETRY")

    status = api.status(task_id)
    assert (status["error"]["kind"], status["ready"]) == ("unknown_task", False)
    assert "make_coffee" in status["error"]["message"]
    assert status["next_attempt_at"]


def status_of(api: Api, foreign: ForeignClient, system: System, value: bytes, headers: dict[str, str]) -> Body:
    """What became of a record that a foreign client wrote."""
    task_id = uuid.uuid4().hex
    foreign.write(system.topics.lane("media"), value, {"ce_id": task_id, **headers})
    return api.ended(task_id)


def named(problems: list[Body]) -> list[str]:
    return sorted(problem["field"] for problem in problems)


def kept(api: Api, foreign: ForeignClient, task_id: str) -> bytes:
    """The bytes in the dead letter of a task."""
    topic, partition, offset = api.details(task_id)["dead_letter"]
    return foreign.read(topic, partition, offset)
