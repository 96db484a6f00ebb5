"""Runs dead letters again: the letter by its pointer, its next round to its lane, its row before the answer.

What the next round is, and when it is refused, is decided in muster.contracts.redrive.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import aclosing
from typing import Any

from muster.claim_check import parameters_of
from muster.contracts.errors import InvalidRecord, PayloadDamaged, PayloadUnavailable
from muster.contracts.redrive import MAX_REDRIVES, Edit, Redriven, RedriveRefused, read_provenance, redrive
from muster.contracts.states import TaskState
from muster.observability.logging import get_logger
from muster.ports import Position, Record
from pydantic import BaseModel, ConfigDict, Field, model_validator

from tracker_service.api.callers import Caller
from tracker_service.api.context import Api
from tracker_service.api.errors import ApiError
from tracker_service.api.failed import Failed, LetterFilter, find, scan
from tracker_service.projection.fold import Fold
from tracker_service.recovery.originals import Originals

#: Tasks of one request; a filter that takes more says so, and is asked again.
MAX_TASKS = 1000
#: Letters in memory at a time: each may be as large as an image.
CHUNK = 16
MAX_NAMED = 50
_LOCK = "SELECT pg_try_advisory_xact_lock(hashtextextended('muster.redrive', 1))"

_WHY_NOT = {TaskState.REVOKED.value: "it was taken back, so it has no dead letter: submit it anew"}

_log = get_logger(__name__)


class RedriveRequest(BaseModel):
    """Which dead letters run again, and how."""

    model_config = ConfigDict(extra="forbid")

    ids: list[str] | None = Field(None, min_length=1, max_length=MAX_TASKS, description="Tasks by id.")
    filter: LetterFilter | None = Field(None, description=f"Or tasks by filter, {MAX_TASKS:,} at a time.")
    dry_run: bool = Field(False, description="Only count.")
    parameters: dict[str, Any] | None = Field(None, description="Put over the original parameters, one by one.")
    task_type: str | None = Field(None, min_length=1, max_length=200, description="Run as this task type.")
    vouch: bool = Field(False, description="Also run what nobody has vouched for (kind unauthenticated).")
    max_redrives: int = Field(MAX_REDRIVES, ge=1, le=100, description="Refuse what was redriven so often.")

    @model_validator(mode="after")
    def _one_choice(self) -> RedriveRequest:
        if (self.ids is None) == (self.filter is None):
            raise ValueError("give ids or filter: one of the two")
        if self.filter is not None and self.filter == LetterFilter():
            raise ValueError("the filter is empty: name at least one of its fields, such as since")
        if any("\0" in task_id for task_id in self.ids or ()):
            raise ValueError("an id may hold no NUL character")
        return self


class Tally:
    """What became of the letters of one request."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.problems: list[dict[str, str]] = []
        self.more = False

    def note(self, outcome: str, task_id: str, reason: str) -> None:
        self.counts[outcome] += 1
        if len(self.problems) < MAX_NAMED:
            self.problems.append({"task_id": task_id, "outcome": outcome, "reason": reason})

    def body(self, *, dry_run: bool) -> dict[str, Any]:
        counts = {name: self.counts[name] for name in ("redriven", "skipped", "refused")}
        return {"dry_run": dry_run, **counts, "problems": self.problems, "more": self.more}


async def redrive_letters(api: Api, caller: Caller, asked: RedriveRequest) -> dict[str, Any]:
    """Return when Kafka has every record and its row is written.

    Raises:
        ApiError: 409: another redrive is under way.
        BrokerError, StoreError: some tasks may run again; asking once more leaves those alone.
    """
    async with api.pool.acquire() as connection, connection.transaction():
        # Two admins who choose the same letters at the same time would run each of them twice.
        if not asked.dry_run and not await connection.fetchval(_LOCK):
            raise ApiError(409, "another redrive is under way: try again in a moment", headers={"Retry-After": "2"})
        tally = Tally()
        chosen = await _choose(api, asked, tally)
        originals = Originals(api.broker, api.clock)
        try:
            for first in range(0, len(chosen), CHUNK):
                await _redrive(api, caller, asked, chosen[first : first + CHUNK], originals, tally)
        finally:
            await originals.stop()
    return tally.body(dry_run=asked.dry_run)


async def _choose(api: Api, asked: RedriveRequest, tally: Tally) -> list[Failed]:
    """Tasks that stand in FAILURE, ordered by where their letters lie."""
    chosen: list[Failed] = []
    if asked.filter is not None:
        async with aclosing(scan(api, asked.filter)) as rows:
            async for failed in rows:
                if asked.filter.takes(failed):
                    if len(chosen) == MAX_TASKS:
                        tally.more = True
                        break
                    chosen.append(failed)
    else:
        ids = list(dict.fromkeys(asked.ids or ()))
        found = await find(api, ids)
        for task_id in ids:
            if task_id not in found:
                tally.note("refused", task_id[:200], "no task has this id")
            elif (state := found[task_id].row["state"]) != TaskState.FAILURE:
                tally.note("skipped", task_id, _WHY_NOT.get(state, f"it is {state} by now"))
            else:
                chosen.append(found[task_id])
    return sorted(chosen, key=lambda failed: failed.place or ("", 0, 0))


async def _redrive(
    api: Api, caller: Caller, asked: RedriveRequest, chosen: list[Failed], originals: Originals, tally: Tally
) -> None:
    letters = await originals.read([failed.place for failed in chosen if failed.place])
    rounds: list[Redriven] = []
    for failed in chosen:
        try:
            rounds.append(await _next_round(api, asked, failed, letters.get(failed.place) if failed.place else None))
        except RedriveRefused as refusal:
            tally.note("refused", failed.task_id, str(refusal))
    if not asked.dry_run:
        await _write(api, rounds)
        for topic, task in rounds:
            _log.info(
                "Redrove a dead letter", action="dead_letter.redriven", task_id=task.task_id, redrive=task.redrive,
                topic=topic, by=caller.name, edited=sorted(asked.parameters or {}),
                vouched=asked.vouch,
            )  # fmt: skip
    tally.counts["redriven"] += len(rounds)


async def _next_round(api: Api, asked: RedriveRequest, failed: Failed, letter: Record | None) -> Redriven:
    if letter is None or read_provenance(letter.headers).task_id != failed.task_id:
        raise RedriveRefused("its dead letter is no longer in Kafka: submit it anew")
    edit = Edit(parameters=asked.parameters, task_type=asked.task_type)
    again = redrive(
        letter.headers, letter.value, api.topics, now=api.clock.now(), edit=edit, max_redrives=asked.max_redrives,
        vouch=asked.vouch,
    )  # fmt: skip
    if edit != Edit():
        await _check_parameters(api, again)
    return again


async def _check_parameters(api: Api, again: Redriven) -> None:
    """What an operator typed is held against the schema before it costs an attempt."""
    description = await api.catalog.find(again.task.task_type)
    if description is None:
        return
    try:
        problems = api.catalog.problems(description, await parameters_of(again.task, api.claims))
    except (InvalidRecord, PayloadDamaged, PayloadUnavailable) as error:
        raise RedriveRefused(str(error)) from error
    if problems:
        first = problems[0]
        raise RedriveRefused(f"{description.task_type} refuses its parameters: {first.field}: {first.message}")


async def _write(api: Api, rounds: list[Redriven]) -> None:
    sent = [await api.producer.send(topic, task.body, key=task.key, headers=task.headers()) for topic, task in rounds]
    written: list[Position] = await asyncio.gather(*sent)
    stamp, fold = int(api.clock.now().timestamp() * 1000), Fold()
    for position, (_, task) in zip(written, rounds, strict=True):
        # The same fold as the projector's: the next read, and the next redrive, see that the task waits again.
        api.reader.read(Record(*position, stamp, task.key, task.body, tuple(task.headers())), fold)
    if rounds:
        await api.store.write(fold, {})
