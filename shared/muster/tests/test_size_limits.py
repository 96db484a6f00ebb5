"""Whatever size things have, there is a record that says how the task ended, else its worker would stop."""

from __future__ import annotations

import msgspec
import pytest
from muster.adapters.clock import SystemClock
from muster.contracts.dead_letter import parse_provenance
from muster.contracts.envelope import MAX_EXTRA_BYTES, TaskRecord, parse_task
from muster.contracts.errors import InvalidRecord
from muster.contracts.events import Progressed
from muster.contracts.topics import MAX_BODY_BYTES, MAX_DEAD_LETTER_BYTES, MAX_RECORD_BYTES, MAX_RESULT_BYTES
from muster.ports import Record
from muster.testing import Stage, TaskHarness, memory_stage, wait_until
from muster.worker.app import MAX_PROBLEMS, TaskApp
from muster.worker.context import Context
from muster.worker.outcome import MAX_MESSAGE, DeadLetter, RetryAt, Succeed
from pydantic import BaseModel, ConfigDict


class Numbers(BaseModel):
    model_config = ConfigDict(extra="forbid")

    numbers: list[int] = []
    size: int = 0


def make_app() -> TaskApp[None]:
    app: TaskApp[None] = TaskApp("media")

    @app.task()
    async def make(ctx: Context[None], params: Numbers) -> str:
        """A result of so many bytes, with its quotes."""
        return "x" * (params.size - 2)

    @app.task()
    async def tell(ctx: Context[None]) -> None:
        await ctx.progress(1, 1, "y" * 40_000_000)

    @app.task()
    async def complain(ctx: Context[None]) -> None:
        raise OSError("it broke, " * 4_000_000)

    return app


def size_of(record: Record) -> int:
    headers = sum(len(name.encode()) + len(raw) + 10 for name, raw in record.headers)
    return len(record.key or b"") + len(record.value or b"") + headers + 100


async def letter_of(stage: Stage, task_type: str, body: bytes, *headers: tuple[str, bytes]) -> Record:
    task = TaskRecord(task_id="t1", task_type=task_type, body=body)
    async with stage.worker(make_app()):
        await stage.put(stage.lane, body, [*task.headers(), *headers], key=task.key)
        await wait_until(lambda: bool(stage.records(stage.topics.dead_letter)), "the dead letter is written", 60)
    [letter] = stage.records(stage.topics.dead_letter)
    assert size_of(letter) <= MAX_DEAD_LETTER_BYTES
    return letter


@pytest.mark.parametrize(
    ("count", "listed", "last"),
    [(60, MAX_PROBLEMS + 1, "and 10 more fields"), (100_000, 1, "100,000 fields are not valid")],
)
async def test_very_many_bad_fields_are_named_in_part_or_counted(count: int, listed: int, last: str) -> None:
    async with memory_stage() as stage:
        letter = await letter_of(stage, "make", msgspec.json.encode({"numbers": ["no"] * count}))

    failure = parse_provenance(letter.headers).failure
    assert (failure.kind, len(failure.problems)) == ("invalid", listed)
    assert failure.problems[-1].message == last


async def test_a_field_whose_name_is_a_file_is_named_in_part() -> None:
    async with memory_stage() as stage:
        letter = await letter_of(stage, "make", msgspec.json.encode({"n" * 20_000_000: 1}))

    [problem] = parse_provenance(letter.headers).failure.problems
    assert problem.field == "n" * 200


async def test_the_largest_record_that_fits_its_lane_fits_the_dead_letter_too() -> None:
    async with memory_stage() as stage:
        room = MAX_RECORD_BYTES - MAX_BODY_BYTES - 4096
        letter = await letter_of(stage, "make", b"{" * MAX_BODY_BYTES, ("x-own", b"x" * room))

    why = parse_provenance(letter.headers)
    assert "headers that are not ours must be at most 65,536 bytes together" in why.failure.message


async def test_a_result_that_is_too_large_fails_for_good_and_says_what_to_do() -> None:
    harness = TaskHarness(make_app(), None, SystemClock())

    fits = await harness.run("make", {"size": MAX_RESULT_BYTES})
    outcome = await harness.run("make", {"size": MAX_RESULT_BYTES + 1})

    assert isinstance(fits, Succeed)
    assert isinstance(outcome, DeadLetter)
    assert outcome.failure.kind == "permanent"
    assert (
        outcome.failure.message
        == "the result has 1,048,577 bytes, 1,048,576 are kept: store it and return where it lies"
    )


async def test_what_a_task_says_is_cut() -> None:
    async with memory_stage() as stage, stage.worker(make_app()):
        task_id = await stage.submit("tell")
        await wait_until(lambda: "Succeeded" in stage.said(task_id), "the task has succeeded")
        [said] = [event for event in stage.events(task_id) if isinstance(event, Progressed)]
        failed = await TaskHarness(make_app(), None, SystemClock()).run("complain", {})

    assert len(said.message) == MAX_MESSAGE
    assert isinstance(failed, RetryAt)
    assert len(failed.failure.message) == MAX_MESSAGE


def test_a_record_is_refused_by_its_size_in_one_sentence() -> None:
    task = [("ce_id", b"t1"), ("ce_type", b"make")]

    with pytest.raises(InvalidRecord, match="the record's value must be at most 31,457,280 bytes"):
        parse_task(task, b"x" * (MAX_BODY_BYTES + 1))
    with pytest.raises(InvalidRecord, match="headers that are not ours must be at most 65,536 bytes"):
        parse_task([*task, ("x", b"x" * MAX_EXTRA_BYTES)], b"{}")
