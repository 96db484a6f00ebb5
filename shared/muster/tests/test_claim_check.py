"""Large parameters on their way: into the store at the submission, out of it in the worker, through every detour."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from muster.adapters.claim_store import open_claim_check
from muster.claim_check import ClaimCheck
from muster.client import File, prepare
from muster.client.catalog import CatalogReader
from muster.client.transports import KafkaTransport
from muster.contracts.envelope import TaskRecord, parse_task
from muster.contracts.errors import PayloadUnavailable, SubmitRefused, Unreachable
from muster.contracts.redrive import Edit, redrive
from muster.contracts.retry import RetryPolicy
from muster.ports import Record
from muster.settings import ClaimCheckSettings
from muster.testing import Stage, memory_stage, wait_until
from muster.worker.app import TaskApp
from muster.worker.context import Context
from muster.worker.files import FileReference
from pydantic import BaseModel, ConfigDict

LARGE = "x" * 5000


class Text(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    text: str
    fail: bool = False


class Upload(BaseModel):
    file: str | FileReference


app: TaskApp[None] = TaskApp("media")


@app.task(retry=RetryPolicy(max_retries=1, base=60), permanent=(ZeroDivisionError,))
async def measure(ctx: Context[None], params: Text) -> int:
    if params.fail:
        raise ZeroDivisionError if ctx.attempt > 1 else OSError("not now")
    return len(params.text)


@app.task(retry=RetryPolicy(max_retries=1, base=60))
async def digest(ctx: Context[None], params: Upload) -> str:
    if isinstance(params.file, str):
        return "text"
    return hashlib.sha256(await ctx.fetch(params.file, max_bytes=100_000)).hexdigest()


@pytest.fixture
def claims(tmp_path: Path) -> ClaimCheck:
    claims = open_claim_check(ClaimCheckSettings(url=f"file://{tmp_path}/claims", threshold_bytes=1024))
    assert claims is not None
    return claims


@pytest.fixture
async def stage(claims: ClaimCheck) -> AsyncIterator[Stage]:
    async with memory_stage() as stage:
        stage.claims = claims
        yield stage


async def submit(stage: Stage, task_type: str, parameters: dict[str, Any], claims: ClaimCheck | None) -> str:
    transport = KafkaTransport(stage.broker, stage.topics, CatalogReader(stage.broker, stage.topics), claims)
    by_reference = transport.refers_to_files
    submission = prepare(task_type, parameters, now=datetime.now(UTC), service="media", refers_to_files=by_reference)
    try:
        return await transport.submit(submission, timeout=20)
    finally:
        await transport.close()


def stored(folder: Path) -> list[Path]:
    return [path for path in (folder / "claims").rglob("*") if path.is_file()]


async def seen(stage: Stage, topic: str) -> tuple[Record, TaskRecord]:
    await wait_until(lambda: bool(stage.records(topic)), f"a record in {topic}")
    record = stage.records(topic)[-1]
    return record, parse_task(record.headers, record.value)


async def test_large_parameters_go_round_kafka_and_arrive(stage: Stage, claims: ClaimCheck, tmp_path: Path) -> None:
    task_id = await submit(stage, "measure", {"text": LARGE}, claims)

    async with stage.worker(app):
        await wait_until(lambda: "Succeeded" in stage.said(task_id), "the task succeeds")

    assert stage.result(task_id) == 5000
    assert [path.parent.name for path in stored(tmp_path)] == [task_id]


async def test_small_parameters_stay_in_the_record(stage: Stage, claims: ClaimCheck, tmp_path: Path) -> None:
    await submit(stage, "measure", {"text": "short"}, claims)

    assert stored(tmp_path) == []


async def test_an_id_that_is_no_path_keeps_its_parameters_in_the_record(claims: ClaimCheck) -> None:
    task = TaskRecord(task_id="../../x", task_type="measure", body=LARGE.encode())

    assert await claims.hand_in(task, now=datetime.now(UTC)) == task


async def test_the_reference_survives_retry_dead_letter_and_redrive(stage: Stage, claims: ClaimCheck) -> None:
    task_id = await submit(stage, "measure", {"text": LARGE, "fail": True}, claims)
    async with stage.worker(app):
        _, retried = await seen(stage, stage.topics.retry)
        assert (retried.attempt, retried.body) == (2, b"")
        due = msgspec.structs.replace(retried, not_before=None, route=None)
        await stage.put(stage.lane, due.body, due.headers(), key=due.key)
        letter, dead = await seen(stage, stage.topics.dead_letter)
        assert dead.reference == retried.reference
        again = redrive(
            letter.headers, letter.value, stage.topics, now=datetime.now(UTC), edit=Edit(parameters={"fail": False})
        ).task
        assert again.reference == retried.reference
        await stage.put(stage.lane, again.body, again.headers(), key=again.key)
        await wait_until(lambda: "Succeeded" in stage.said(task_id), "the edited round succeeds")

    assert stage.result(task_id) == 5000


async def failure_of(stage: Stage, topic: str) -> tuple[str, str]:
    record, task = await seen(stage, topic)
    if topic == stage.topics.retry:
        assert task.failure is not None
        return task.failure.error, task.failure.message
    said = dict(record.headers)
    return said["dl-kind"].decode(), said["dl-error"].decode()


async def test_a_payload_that_is_gone_is_tried_again_with_a_clear_word(
    stage: Stage, claims: ClaimCheck, tmp_path: Path
) -> None:
    await submit(stage, "measure", {"text": LARGE}, claims)
    [file] = stored(tmp_path)
    file.unlink()

    async with stage.worker(app):
        error, message = await failure_of(stage, stage.topics.retry)

    assert error == "PayloadUnavailable"
    assert "is not in the store" in message


async def test_a_worker_without_a_store_leaves_the_task_to_another_one(stage: Stage, claims: ClaimCheck) -> None:
    await submit(stage, "measure", {"text": LARGE}, claims)
    stage.claims = None

    async with stage.worker(app):
        error, message = await failure_of(stage, stage.topics.retry)

    assert error == "PayloadUnavailable"
    assert message.endswith("set MUSTER_CLAIMS_URL")


@pytest.mark.parametrize("content", [b'{"text": "forged"}', b"x" * 6000, b""])
async def test_a_payload_that_was_changed_is_never_run(
    stage: Stage, claims: ClaimCheck, tmp_path: Path, content: bytes
) -> None:
    task_id = await submit(stage, "measure", {"text": LARGE}, claims)
    [file] = stored(tmp_path)
    file.write_bytes(content)

    async with stage.worker(app):
        kind, message = await failure_of(stage, stage.topics.dead_letter)

    assert kind == "permanent"
    assert "SHA-256 differs" in message
    assert "Succeeded" not in stage.said(task_id)


async def test_a_record_that_names_another_tasks_payload_is_refused(stage: Stage, claims: ClaimCheck) -> None:
    victim = TaskRecord(task_id="victim", task_type="measure", body=msgspec.json.encode({"text": LARGE}))
    handed_in = await claims.hand_in(victim, now=datetime.now(UTC))
    await stage.submit("measure", task_id="thief", body=b"", reference=handed_in.reference)

    async with stage.worker(app):
        kind, message = await failure_of(stage, stage.topics.dead_letter)

    assert (kind, "names another task" in message) == ("invalid", True)


async def test_a_payload_that_says_it_is_huge_is_not_even_read(stage: Stage, claims: ClaimCheck) -> None:
    handed_in = await claims.hand_in(
        TaskRecord(task_id="huge", task_type="measure", body=LARGE.encode()), now=datetime.now(UTC)
    )
    assert handed_in.reference is not None
    huge = msgspec.structs.replace(handed_in.reference, size=10**12)
    await stage.submit("measure", task_id="huge", body=b"", reference=huge)

    async with stage.worker(app):
        kind, message = await failure_of(stage, stage.topics.dead_letter)

    assert (kind, "1,000,000,000,000 bytes" in message) == ("permanent", True)


@pytest.mark.parametrize("with_store", [True, False])
async def test_a_file_goes_by_reference_where_there_is_a_store(
    stage: Stage, claims: ClaimCheck, tmp_path: Path, with_store: bool
) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8" + bytes(50_000))
    file = File(tmp_path / "photo.jpg")

    task_id = await submit(stage, "digest", {"file": file}, claims if with_store else None)
    async with stage.worker(app):
        await wait_until(lambda: "Succeeded" in stage.said(task_id), "the task succeeds")

    assert stage.result(task_id) == (hashlib.sha256(file.content).hexdigest() if with_store else "text")


async def test_a_file_larger_than_the_task_reads_is_refused(stage: Stage, claims: ClaimCheck) -> None:
    await submit(stage, "digest", {"file": File(bytes(100_001))}, claims)

    async with stage.worker(app):
        kind, message = await failure_of(stage, stage.topics.dead_letter)

    assert (kind, "at most 100,000 are read here" in message) == ("permanent", True)


async def test_a_submission_whose_payload_cannot_be_stored_is_not_sent(
    stage: Stage, claims: ClaimCheck, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(key: object, data: bytes) -> None:
        raise PayloadUnavailable("the store of payloads does not answer: TimeoutError")

    monkeypatch.setattr(claims.store, "put", away)
    with pytest.raises(Unreachable, match="does not answer"):
        await submit(stage, "measure", {"text": LARGE}, claims)

    admin = stage.broker.consumer()
    ends = await admin.end_offsets(list(admin.assignment()))
    assert ends == {}


def test_parameters_past_every_limit_are_refused_before_they_are_stored() -> None:
    with pytest.raises(SubmitRefused, match=r"muster\.client\.File"):
        prepare("measure", {"text": "x" * (31 * 1024 * 1024)}, now=datetime.now(UTC))
