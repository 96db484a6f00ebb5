"""Stories about a worker that has signing keys: what nobody vouches for is not run, and what it writes is signed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from muster.adapters.clock import SystemClock
from muster.adapters.memory import MemoryBroker
from muster.adapters.signed import SignedBroker
from muster.contracts.control import Revocation
from muster.contracts.dead_letter import nameless_id, original_headers, parse_provenance
from muster.contracts.envelope import TaskRecord, parse_task
from muster.contracts.errors import Retry
from muster.contracts.events import encode_json
from muster.contracts.redrive import RedriveRefused, redrive
from muster.contracts.signature import SIGNATURE, Signatures, Signed
from muster.contracts.topics import Topics
from muster.observability.metrics import REGISTRY
from muster.ports import Position, Record
from muster.testing import Stage, stage_on, wait_until
from muster.worker.app import TaskApp
from muster.worker.context import Context

TOPICS = Topics()
KEYS = {"k1": bytes(32)}
READER = Signatures(TOPICS, KEYS)


@dataclass
class Signing:
    """A signed stage, and a producer that has no key."""

    stage: Stage
    plain: MemoryBroker
    ran: list[str] = field(default_factory=list)

    def app(self) -> TaskApp[None]:
        app: TaskApp[None] = TaskApp("media")

        @app.task()
        async def note(ctx: Context[None]) -> None:
            self.ran.append(ctx.task_id)

        @app.task()
        async def again(ctx: Context[None]) -> None:
            raise Retry("once more")

        @app.task()
        async def stay(ctx: Context[None]) -> None:
            self.ran.append(ctx.task_id)
            await asyncio.sleep(3600)

        return app

    async def write(
        self, topic: str, value: bytes | None, headers: list[tuple[str, bytes]], key: bytes | None = None
    ) -> Position:
        producer = self.plain.producer()
        await producer.start()
        written = await (await producer.send(topic, value, key=key, headers=headers))
        await producer.stop()
        return written

    async def unsigned(self, task_type: str, task_id: str = "t1", **fields: Any) -> Position:
        task = TaskRecord(task_id=task_id, task_type=task_type, body=b"{}", **fields)
        return await self.write(self.stage.lane, task.body, task.headers(), task.key)

    async def written(self, topic: str, count: int = 1) -> list[Record]:
        await wait_until(lambda: len(self.stage.records(topic)) >= count, f"{count} records in {topic}")
        return self.stage.records(topic)


@pytest.fixture(params=[False, True], ids=["strict", "accept unsigned"])
def accepting(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
async def signing() -> AsyncIterator[Signing]:
    async for story in staged(accept_unsigned=False):
        yield story


async def staged(*, accept_unsigned: bool) -> AsyncIterator[Signing]:
    plain = MemoryBroker(SystemClock())
    broker = SignedBroker(plain, Signatures(TOPICS, KEYS, accept_unsigned=accept_unsigned))
    async with stage_on(broker) as stage:
        yield Signing(stage, plain)


def vouched(record: Record) -> bool:
    return READER.refusal(Signed(record.topic, record.key, record.value, record.headers)) is None


async def test_a_signed_task_runs_and_all_that_is_written_of_it_is_signed(signing: Signing) -> None:
    stage = signing.stage
    async with stage.worker(signing.app()):
        task_id = await stage.submit("note")
        await wait_until(lambda: "Succeeded" in stage.said(task_id), "the task has succeeded")

    assert signing.ran == [task_id]
    topics = (stage.topics.events, stage.topics.workers, stage.topics.catalog)
    assert all(stage.records(topic) for topic in topics)
    assert all(vouched(record) for topic in topics for record in stage.records(topic))


async def test_an_unsigned_record_is_a_dead_letter_at_once_and_nothing_runs(signing: Signing) -> None:
    stage, own = signing.stage, [("ce_id", b"kcat-1"), ("ce_type", b"note"), ("x-own", b"\xff")]
    async with stage.worker(signing.app()):
        where = await signing.write(stage.lane, b"\x00 raw", own, b"key")
        [letter] = await signing.written(stage.topics.dead_letter)

    why = parse_provenance(letter.headers)
    assert (why.failure.kind, why.failure.error) == ("unauthenticated", "Unauthenticated")
    assert why.failure.message == (
        "nobody vouches for this record: it is not signed (header task-signature); it says that it is task kcat-1"
    )
    assert (letter.value, letter.key) == (b"\x00 raw", b"key")
    assert [pair for pair in original_headers(letter.headers) if not pair[0].startswith("dl-")] == own
    assert (vouched(letter), signing.ran) == (True, [])
    assert why.task_id == nameless_id(*where), "it may claim the id of a task that runs"


async def test_a_record_that_claims_the_id_of_a_running_task_does_not_touch_it(signing: Signing) -> None:
    stage = signing.stage
    async with stage.worker(signing.app(), grace_seconds=0.1):
        await stage.submit("stay", task_id="mine")
        await wait_until(lambda: signing.ran == ["mine"], "the task runs")
        await signing.unsigned("stay", "mine", redrive=9)
        [letter] = await signing.written(stage.topics.dead_letter)
        order = encode_json(Revocation(task_id="mine", at=datetime.now(UTC), terminate=True, by=1))
        await signing.write(stage.topics.control, order, [], b"mine")
        await signing.write(stage.topics.control, None, [], b"mine")
        await stage.submit("note", task_id="later")
        await wait_until(lambda: "later" in signing.ran, "what was written later has run")

        assert stage.said("mine") == ["Started"], "an order that nobody signed is not followed"
    assert parse_provenance(letter.headers).task_id != "mine"


async def test_a_forged_or_changed_record_is_refused(signing: Signing, accepting: bool) -> None:
    async for story in staged(accept_unsigned=accepting):
        stage = story.stage
        task = TaskRecord(task_id="t1", task_type="note", body=b"{}")
        good = list(READER.sign(Signed(stage.lane, task.key, task.body, task.headers())))
        async with stage.worker(story.app()):
            await story.write(stage.lane, b'{"more": 1}', good)
            await story.write(stage.lane, b"{}", [*good, ("task-submitter", b"1")])
            await story.write(stage.topics.lane("media", "high"), b"{}", good)
            letters = await story.written(stage.topics.dead_letter, 3)

        assert {parse_provenance(letter.headers).failure.kind for letter in letters} == {"unauthenticated"}
        assert story.ran == []


async def test_what_a_worker_passes_on_is_signed_anew(signing: Signing) -> None:
    stage, later = signing.stage, datetime.now(UTC) + timedelta(hours=1)
    async with stage.worker(signing.app(), grace_seconds=0.1):
        await stage.submit("again", task_id="failed")
        await stage.submit("note", task_id="too-early", not_before=later)
        await stage.submit("stay", task_id="handed-back")
        await wait_until(lambda: signing.ran == ["handed-back"], "the task runs")
        await signing.written(stage.topics.retry, 2)
    records = await signing.written(stage.topics.retry, 3)

    assert {dict(record.headers)["ce_id"] for record in records} == {b"failed", b"too-early", b"handed-back"}
    assert all(vouched(record) for record in records)


async def test_while_signatures_are_introduced_unsigned_tasks_run_and_are_signed_from_then_on() -> None:
    async for story in staged(accept_unsigned=True):
        stage, before = story.stage, accepted(story.stage.lane)
        async with stage.worker(story.app()):
            await story.unsigned("again")
            [record] = await story.written(stage.topics.retry)

        assert vouched(record)
        assert accepted(stage.lane) > before


async def test_a_process_without_keys_does_not_pass_a_signature_on_that_no_longer_fits() -> None:
    """Else those who have the keys already would refuse the retry as forged, not as unsigned."""
    plain = MemoryBroker(SystemClock())
    async with stage_on(plain) as stage:
        story = Signing(stage, plain)
        task = TaskRecord(task_id="t1", task_type="again", body=b"{}")
        headers = list(READER.sign(Signed(stage.lane, None, task.body, task.headers())))
        async with stage.worker(story.app()):
            await story.write(stage.lane, task.body, headers)
            [record] = await story.written(stage.topics.retry)

    assert SIGNATURE not in dict(record.headers)


async def test_redriving_what_nobody_vouched_for_needs_somebody_who_does(signing: Signing) -> None:
    stage = signing.stage
    async with stage.worker(signing.app()):
        await signing.unsigned("note", "claimed")
        [letter] = await signing.written(stage.topics.dead_letter)
        with pytest.raises(RedriveRefused, match="--vouch"):
            redrive(letter.headers, letter.value, TOPICS, now=datetime.now(UTC))

        lane, task = redrive(letter.headers, letter.value, TOPICS, now=datetime.now(UTC), vouch=True)
        await stage.put(lane, task.body, task.headers(), key=task.key)
        await wait_until(lambda: bool(signing.ran), "the redriven task has run")

    assert signing.ran == [parse_provenance(letter.headers).task_id], "never under the id it claims"


async def test_a_letter_that_no_worker_signed_is_not_redriven(signing: Signing) -> None:
    stage = signing.stage
    async with stage.worker(signing.app()):
        await stage.submit("unheard-of")
        await signing.write(stage.lane, b"{", [("ce_id", b"bad")])
        [letter] = await signing.written(stage.topics.dead_letter)
    forged = [pair for pair in letter.headers if pair[0] != "dl-signature"]
    await signing.write(stage.topics.dead_letter, b"{}", forged)
    [_, read] = await signing.written(stage.topics.dead_letter, 2)

    with pytest.raises(RedriveRefused, match="nobody vouches for this letter: it is not signed"):
        redrive(read.headers, read.value, TOPICS, now=datetime.now(UTC), vouch=True)


def test_a_signature_is_no_part_of_a_task() -> None:
    task = parse_task([("ce_id", b"a"), ("ce_type", b"note"), (SIGNATURE, b"v1:k1:0")], b"{}")

    assert task.extra == ()


def accepted(topic: str) -> float:
    return REGISTRY.get_sample_value("muster_records_unsigned_accepted_total", {"topic": topic}) or 0.0
