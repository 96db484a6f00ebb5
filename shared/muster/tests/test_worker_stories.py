"""Stories about one worker: what becomes of a task, told by the records it leaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from muster.adapters.kafka import KafkaBroker
from muster.contracts.dead_letter import nameless_id, parse_provenance
from muster.contracts.envelope import parse_task
from muster.contracts.errors import PermanentError, Retry
from muster.contracts.events import Progressed, Started, Succeeded, decode_heartbeat
from muster.contracts.retry import RetryPolicy
from muster.settings import KafkaSettings
from muster.testing import Stage, memory_stage, stage_on, wait_until
from muster.worker.app import TaskApp
from muster.worker.context import Context
from pydantic import BaseModel, ConfigDict, Field

STARTED_EVENTS: dict[str, asyncio.Event] = {}


class Count(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    number: int = Field(ge=0)


def make_app() -> TaskApp[None]:
    app: TaskApp[None] = TaskApp("media")

    @app.task()
    async def double(ctx: Context[None], params: Count) -> dict[str, int]:
        """Twice a number."""
        await ctx.progress(1, 1, "doubled")
        return {"doubled": params.number * 2}

    @app.task(retry=RetryPolicy(max_retries=1), permanent=(ZeroDivisionError,))
    async def fail(ctx: Context[None], params: Count) -> None:
        match params.number:
            case 0:
                raise ZeroDivisionError("never to be divided")
            case 1:
                raise PermanentError("not allowed")
            case 2:
                raise Retry("come back", after=7)
            case _:
                raise OSError("the disk of postgresql://app:hunter2@db is full")

    @app.task(time_limit=0.05)
    async def too_slow(ctx: Context[None]) -> None:
        await asyncio.sleep(60)

    @app.task()
    async def wait_for_ever(ctx: Context[None]) -> None:
        STARTED_EVENTS.setdefault(ctx.task_id, asyncio.Event()).set()
        await asyncio.sleep(3600)

    return app


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.kafka)])
async def stage(request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    """Every story is told on the log in memory and on a real Kafka."""
    if request.param == "memory":
        async with memory_stage() as stage:
            yield stage
        return
    broker = KafkaBroker(KafkaSettings(bootstrap_servers=request.getfixturevalue("kafka")))
    async with stage_on(broker, request.getfixturevalue("topic_prefix")) as stage:
        yield stage


async def test_a_task_is_started_reports_and_succeeds(stage: Stage) -> None:
    async with stage.worker(make_app()):
        task_id = await stage.submit("double", {"number": 21})
        await wait_until(lambda: "Succeeded" in stage.said(task_id), "the task has succeeded")

    assert stage.said(task_id) == ["Started", "Progressed", "Succeeded"]
    started, progressed, succeeded = stage.events(task_id)
    assert isinstance(started, Started)
    assert started.topic == stage.lane
    assert isinstance(progressed, Progressed)
    assert progressed.done == progressed.total == 1
    assert isinstance(succeeded, Succeeded)
    assert msgspec.json.decode(succeeded.result) == {"doubled": 42}


@pytest.mark.parametrize(
    ("number", "kind", "said"),
    [
        (0, "permanent", "never to be divided"),  # declared final by the task
        (1, "permanent", "not allowed"),  # said to be final by the function
        (-1, "invalid", "number"),  # refused before the function ran
    ],
)
async def test_a_final_error_goes_straight_to_the_dead_letter(stage: Stage, number: int, kind: str, said: str) -> None:
    async with stage.worker(make_app()):
        task_id = await stage.submit("fail", {"number": number})
        await wait_until(lambda: bool(stage.records(stage.topics.dead_letter)), "a dead letter was written")

    [letter] = stage.records(stage.topics.dead_letter)
    provenance = parse_provenance(letter.headers)
    assert (provenance.task_id, provenance.failure.kind) == (task_id, kind)
    assert said in provenance.failure.message
    assert letter.value == msgspec.json.encode({"number": number})
    assert stage.records(stage.topics.retry) == []


async def test_an_error_is_retried_until_the_attempts_are_used_up(stage: Stage) -> None:
    async with stage.worker(make_app()):
        task_id = await stage.submit("fail", {"number": 9})
        await wait_until(lambda: bool(stage.records(stage.topics.retry)), "a retry record was written")

        [record] = stage.records(stage.topics.retry)
        task = parse_task(record.headers, record.value)
        assert (task.task_id, task.attempt, task.route) == (task_id, 2, stage.lane)
        assert task.not_before is not None
        wait = task.not_before - datetime.now(UTC)
        assert timedelta(seconds=28) < wait <= timedelta(seconds=60)
        assert task.failure is not None
        assert task.failure.message == "the disk of postgresql://app:[hidden]@db is full"

        due = msgspec.structs.replace(task, not_before=None, route=None)
        await stage.put(stage.lane, due.body, due.headers(), key=due.key)
        await wait_until(lambda: bool(stage.records(stage.topics.dead_letter)), "the last attempt has failed")

    [letter] = stage.records(stage.topics.dead_letter)
    provenance = parse_provenance(letter.headers)
    assert (provenance.attempt, provenance.failure.kind) == (2, "error")
    assert "hunter2" not in provenance.traceback


async def test_a_task_may_name_its_own_delay(stage: Stage) -> None:
    async with stage.worker(make_app()):
        await stage.submit("fail", {"number": 2})
        await wait_until(lambda: bool(stage.records(stage.topics.retry)), "a retry record was written")

    [record] = stage.records(stage.topics.retry)
    not_before = parse_task(record.headers, record.value).not_before
    assert not_before is not None
    assert timedelta(seconds=5) < not_before - datetime.now(UTC) <= timedelta(seconds=7)


async def test_the_time_limit_stops_a_task(stage: Stage) -> None:
    async with stage.worker(make_app()):
        await stage.submit("too_slow")
        await wait_until(lambda: bool(stage.records(stage.topics.retry)), "a retry record was written")

    [record] = stage.records(stage.topics.retry)
    failure = parse_task(record.headers, record.value).failure
    assert failure is not None
    assert failure.kind == "timeout"


async def test_an_unknown_type_is_tried_again_without_burning_an_attempt(stage: Stage) -> None:
    async with stage.worker(make_app()):
        await stage.submit("not_deployed_yet")
        await wait_until(lambda: bool(stage.records(stage.topics.retry)), "a retry record was written")

    [record] = stage.records(stage.topics.retry)
    task = parse_task(record.headers, record.value)
    assert (task.attempt, task.unknown) == (2, 1)


async def test_a_record_without_an_id_becomes_a_dead_letter_with_a_stable_id(stage: Stage) -> None:
    async with stage.worker(make_app()):
        await stage.put(stage.lane, b"\xffnot json", [("content-type", b"text/plain")])
        await wait_until(lambda: bool(stage.records(stage.topics.dead_letter)), "a dead letter was written")
        after = await stage.submit("double", {"number": 1})
        await wait_until(lambda: "Succeeded" in stage.said(after), "the worker lives")

    [letter] = stage.records(stage.topics.dead_letter)
    provenance = parse_provenance(letter.headers)
    assert letter.value == b"\xffnot json"
    assert provenance.task_id == nameless_id(provenance.topic, provenance.partition, provenance.offset)
    assert provenance.failure.kind == "invalid"


async def test_an_expired_task_is_not_started(stage: Stage) -> None:
    async with stage.worker(make_app()):
        task_id = await stage.submit("double", {"number": 1}, expires=datetime.now(UTC) - timedelta(seconds=1))
        await wait_until(lambda: bool(stage.said(task_id)), "the task was looked at")

    assert stage.said(task_id) == ["Revoked"]


async def test_a_task_that_is_not_due_is_sent_to_wait(stage: Stage) -> None:
    async with stage.worker(make_app()):
        task_id = await stage.submit("double", {"number": 1}, not_before=datetime.now(UTC) + timedelta(hours=1))
        await wait_until(lambda: bool(stage.records(stage.topics.retry)), "it was sent to wait")

    task = parse_task(stage.records(stage.topics.retry)[0].headers, b"")
    assert (task.task_id, task.attempt, task.route) == (task_id, 1, stage.lane)
    assert stage.said(task_id) == []


async def test_a_task_revoked_before_the_worker_started_never_runs(stage: Stage) -> None:
    await stage.revoke("not-me")
    async with stage.worker(make_app()):
        await stage.submit("double", {"number": 1}, task_id="not-me")
        await wait_until(lambda: bool(stage.said("not-me")), "the task was looked at")

    assert stage.said("not-me") == ["Revoked"]


async def test_a_running_task_is_stopped_by_a_terminating_revocation(stage: Stage) -> None:
    async with stage.worker(make_app()):
        task_id = await stage.submit("wait_for_ever")
        await wait_until(lambda: task_id in STARTED_EVENTS, "the task runs")
        await stage.revoke(task_id, terminate=True)
        await wait_until(lambda: "Revoked" in stage.said(task_id), "the task was stopped")

    assert stage.said(task_id) == ["Started", "Revoked"]


async def test_a_draining_worker_hands_back_what_does_not_end_in_time(stage: Stage) -> None:
    async with stage.worker(make_app(), grace_seconds=0.1) as worker:
        task_id = await stage.submit("wait_for_ever")
        await wait_until(lambda: task_id in STARTED_EVENTS, "the task runs")
        worker.stop()
        await wait_until(lambda: bool(stage.records(stage.topics.retry)), "the task was handed back")

    [record] = stage.records(stage.topics.retry)
    task = parse_task(record.headers, record.value)
    assert (task.attempt, task.delivery, task.failure) == (1, 2, None)
    assert task.handed_back is not None
    assert (task.handed_back.count, task.handed_back.delivery, task.handed_back.worker) == (1, 1, worker.id)
    assert task.losses == 1, "only the delivery to come can be lost"
    await wait_until(
        lambda: decode_heartbeat(stage.records(stage.topics.workers)[-1].value or b"").leaving,
        "the worker said goodbye",
    )


async def test_a_worker_announces_its_tasks_and_beats(stage: Stage) -> None:
    async with stage.worker(make_app()) as worker:
        await wait_until(lambda: len(stage.records(stage.topics.workers)) > 2, "it has beaten three times")

    keys = {record.key for record in stage.records(stage.topics.catalog)}
    assert keys == {b"double", b"fail", b"too_slow", b"wait_for_ever"}
    assert decode_heartbeat(stage.records(stage.topics.workers)[0].value or b"").worker == worker.id


async def test_a_second_worker_takes_over_without_running_anything_twice(stage: Stage) -> None:
    app = make_app()
    async with stage.worker(app) as first:
        ids = [await stage.submit("double", {"number": n}) for n in range(40)]
        async with stage.worker(app):
            first.stop()
            ids += [await stage.submit("double", {"number": n}) for n in range(40)]
            await wait_until(lambda: all("Succeeded" in stage.said(task_id) for task_id in ids), "all have succeeded")

    assert all(stage.said(task_id).count("Succeeded") == 1 for task_id in ids)
