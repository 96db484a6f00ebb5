"""The commands of `muster dlq` on a real Kafka, without a tracker."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import structlog
from muster.adapters.kafka import KafkaBroker
from muster.cli import app, redrive
from muster.client.reading import read_to_end
from muster.contracts.dead_letter import dead_letter_headers, provenance_of
from muster.contracts.envelope import Failure, TaskRecord, parse_task
from muster.contracts.states import TaskState
from muster.contracts.topics import Topics
from muster.settings import KafkaSettings
from typer.testing import CliRunner

pytestmark = pytest.mark.kafka

NOW = datetime.now(UTC)
Written = tuple[bytes | None, list[tuple[str, bytes]]]


@pytest.fixture(autouse=True)
def lane(monkeypatch: pytest.MonkeyPatch, kafka: str, topic_prefix: str) -> Iterator[str]:
    """The lane that all letters came from."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", kafka)
    monkeypatch.setenv("MUSTER_TOPIC_PREFIX", topic_prefix)
    monkeypatch.delenv("MUSTER_API_URL", raising=False)
    monkeypatch.setattr(logging, "lastResort", logging.lastResort)
    topics = Topics(topic_prefix)
    specs = [spec for spec in topics.specs() if spec.name in (topics.dead_letter, topics.lane("media"))]

    async def create() -> None:
        admin = KafkaBroker(KafkaSettings(bootstrap_servers=kafka)).admin()
        await admin.start()
        await admin.apply(specs)
        await admin.stop()

    asyncio.run(create())
    yield topics.lane("media")
    structlog.reset_defaults()


def letter(lane: str, task_id: str, *, age: float = 60.0, kind: str = "error", **task: Any) -> Written:
    at = NOW - timedelta(seconds=age)
    record = TaskRecord(task_id=task_id, **({"task_type": "noop", "body": b'{"n":1}'} | task))
    failure = Failure(kind, "Boom", f"it broke for juan@example.org \x1b[31m{task_id}", "w1", at, at, f"print-{kind}")
    why = provenance_of(record, failure, topic=lane, partition=0, offset=1, timestamp_ms=1, now=at, traceback="line 1")
    return record.body, dead_letter_headers(record.headers(), why)


def write(lane: str, *letters: Written) -> None:
    async def work() -> None:
        settings = KafkaSettings()
        producer = KafkaBroker(settings).producer()
        await producer.start()
        topic = lane.replace("tasks.media.default", "tasks.dead-letter")
        for value, headers in letters:
            await producer.send(topic, value, key=dict(headers).get("ce_id"), headers=headers)
        await producer.stop()

    asyncio.run(work())


def read_lane(lane: str) -> list[TaskRecord]:
    async def work() -> list[TaskRecord]:
        records = read_to_end(KafkaBroker(KafkaSettings()), lane)
        return [parse_task(record.headers, record.value) async for record in records]

    return asyncio.run(work())


def call(*arguments: str) -> tuple[int, str, str]:
    outcome = CliRunner().invoke(app, ["dlq", *arguments])
    if outcome.exception is not None and not isinstance(outcome.exception, SystemExit):
        raise outcome.exception
    return outcome.exit_code, outcome.stdout, outcome.stderr


def lines(*arguments: str, code: int = 0) -> list[Any]:
    exit_code, printed, errors = call(*arguments, "--json")
    assert exit_code == code, errors
    return [json.loads(line) for line in printed.splitlines()]


def test_letters_are_listed_newest_first_and_filtered(lane: str) -> None:
    assert call("list") == (0, "No dead letter fits.\n", "")
    stranger: Written = (b"{}", [("ce_id", b"no letter of ours")])
    write(lane, letter(lane, "old", age=9000), letter(lane, "new", kind="permanent"), letter(lane, "mid", age=300))
    write(lane, stranger, letter(lane, "other", age=20_000, task_type="greet"))

    assert [row["task_id"] for row in lines("list")] == ["new", "mid", "old", "other"]
    assert [row["task_id"] for row in lines("list", "--since", "1h", "--kind", "error")] == ["mid"]
    assert [row["task_id"] for row in lines("list", "--type", "greet")] == ["other"]
    assert [row["task_id"] for row in lines("list", "--text", "FOR [EMAIL] \x1b[31mOLD")] == []
    assert [row["task_id"] for row in lines("list", "--text", "31mOLD")] == ["old"]
    code, printed, _ = call("list", "-n", "1")
    assert (code, printed.splitlines()[1].split()[:3]) == (0, ["new", "noop", "permanent"])
    assert "The latest 1 of 4" in printed
    assert "\x1b" not in printed
    assert "juan@" not in printed


def test_groups_count_what_has_one_cause(lane: str) -> None:
    write(lane, letter(lane, "a", age=500), letter(lane, "b"), letter(lane, "c", kind="permanent"))

    [found] = lines("groups")

    assert [(group["fingerprint"], group["count"], group["example"]) for group in found] == [
        ("print-error", 2, "b"),
        ("print-permanent", 1, "c"),
    ]
    assert found[0]["first_at"] < found[0]["last_at"]
    assert "for example b" in call("groups")[1]


def test_a_letter_is_shown_without_personal_data(lane: str) -> None:
    body = b'{"recipient_email":"juan@example.org","n":1}'
    write(lane, letter(lane, "t1", body=body, extra=(("x-unit", b"\x1b[31m1002nd"),)))

    [shown] = lines("show", "t1")
    code, printed, _ = call("show", "t1")

    assert (shown["body"]["n"], shown["headers"]["ce_type"]) == (1, "noop")
    assert shown["provenance"]["topic"] == lane
    assert code == 0
    assert "line 1" in printed
    assert "juan@" not in printed + json.dumps(shown)
    assert "\x1b" not in printed
    assert call("show", "nobody")[0] == 4


def test_a_redriven_task_is_in_its_lane_once_and_not_again_when_its_next_letter_comes(lane: str) -> None:
    write(lane, letter(lane, "t1"), letter(lane, "t1"), letter(lane, "t2", kind="permanent"))

    outcomes = lines("redrive", "--kind", "error", "--yes")
    (record,) = read_lane(lane)
    write(lane, letter(lane, "t1", redrive=1))
    first_round = lines("redrive", "t1", "--max-redrives", "1", code=2)

    assert [item["outcome"] for item in outcomes[:-1]] == ["redriven"]
    assert (record.task_id, record.redrive, record.attempt, record.body) == ("t1", 1, 1, b'{"n":1}')
    assert outcomes[-1] == {"dry_run": False, "redriven": 1, "skipped": 0, "refused": 0, "superseded": 1}
    assert "failed after 1 redrives and 1 are allowed" in first_round[0]["reason"]
    assert [row["redriven"] for row in lines("list") if row["task_id"] == "t1" and not row["redrive"]] == [True, True]


def test_a_dry_run_writes_nothing_and_an_edit_is_written(lane: str) -> None:
    write(lane, letter(lane, "t1"), letter(lane, "t2", body=b"nope"))

    planned = lines("redrive", "t1", "t2", "--dry-run", code=2)
    assert read_lane(lane) == []
    lines("redrive", "t1", "t2", "--edit", "n:=2", "--as-type", "greet", "--rate", "500")

    assert {item["task_id"]: item["outcome"] for item in planned[:-1]} == {"t1": "planned", "t2": "refused"}
    assert {(task.task_id, task.task_type, task.body) for task in read_lane(lane)} == {
        ("t1", "greet", b'{"n":2}'),
        ("t2", "greet", b'{"n":2}'),
    }


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["redrive"], 2, "name tasks or a filter"),
        (["redrive", "nobody"], 4, "no dead letter has the id nobody"),
        (["redrive", "--type", "noop"], 2, "1 tasks would run again: add --yes"),
        (["redrive", "t1", "--edit", "n"], 2, "no parameter"),
        (["list", "--since", "soon"], 2, "no instant"),
        (["list", "--since", "999999d"], 2, "before all time"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence(lane: str, arguments: list[str], code: int, said: str) -> None:
    write(lane, letter(lane, "t1"))

    outcome = call(*arguments)

    assert outcome[0] == code
    assert said in outcome[2]
    assert len(outcome[2].splitlines()) == 1


def test_the_tracker_knows_what_has_run_again_since(lane: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Tracker:
        def __init__(self, *_: object, **__: object) -> None: ...

        async def status(self, task_id: str) -> dict[str, str]:
            return {"task_id": task_id, "status": TaskState.SUCCESS if task_id == "done" else TaskState.FAILURE}

        async def close(self) -> None: ...

    monkeypatch.setenv("MUSTER_API_URL", "http://127.0.0.1:1")
    monkeypatch.setattr(redrive, "TrackerApi", Tracker)
    write(lane, letter(lane, "done"), letter(lane, "failed"))

    outcomes = lines("redrive", "--since", "1d", "--yes")

    assert {item["task_id"]: item["outcome"] for item in outcomes[:-1]} == {"done": "skipped", "failed": "redriven"}
    assert [task.task_id for task in read_lane(lane)] == ["failed"]
