"""Runs chosen dead letters again: one pass over the topic to choose, one to write.

What the next round of a task is, and when it is refused, is decided in contracts/redrive.py.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec

from muster.client.letters import Choice, Letter, OnProgress, Rounds, read_letters
from muster.contracts.redrive import MAX_REDRIVES, Edit, Redriven, RedriveRefused, redrive
from muster.contracts.states import TaskState
from muster.contracts.topics import Topics
from muster.ports import Broker, Position, Producer

#: Records on their way to Kafka at a time.
IN_FLIGHT = 100
#: Where a task stands now; None: nobody knows.
StateOf = Callable[[str], Awaitable[TaskState | None]]


class Place(NamedTuple):
    """Where the last letter of a task lies, and which round it ended: all that is kept of a letter."""

    redrive: int
    task_type: str
    partition: int
    offset: int


class Chosen(NamedTuple):
    """What the first pass found, by task id."""

    places: dict[str, Place]
    #: Letters that fit too, but are not the last word on their task: a later letter tells of a later round.
    superseded: int

    @property
    def types(self) -> Counter[str]:
        return Counter(place.task_type for place in self.places.values())


class Outcome(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one letter: `redriven` (`planned` in a dry run), `skipped` or `refused`; its lane, or why not."""

    task_id: str
    task_type: str
    outcome: str
    redrive: int = 0
    lane: str = ""
    reason: str = ""


class Terms(NamedTuple):
    """How the chosen letters are to be run again; `rate` is tasks a second, None: as fast as Kafka takes them."""

    edit: Edit = Edit()
    max_redrives: int = MAX_REDRIVES
    rate: float | None = None
    dry_run: bool = False
    #: Run also what nobody has vouched for.
    vouch: bool = False


async def choose(broker: Broker, topics: Topics, choice: Choice, on_progress: OnProgress) -> Chosen:
    """The last letter of each task that the choice takes."""
    rounds, fitting = Rounds(), 0
    places: dict[str, Place] = {}
    async with aclosing(read_letters(broker, topics.dead_letter, on_progress)) as letters:
        async for letter in letters:
            why, record = letter.why, letter.record
            rounds.note(why)
            if choice.takes(letter):
                fitting += 1
                known = places.get(why.task_id)
                # Of two letters of one round, which a task leaves that two workers ran, one is enough.
                if known is None or why.redrive > known.redrive:
                    places[why.task_id] = Place(why.redrive, why.task_type, record.partition, record.offset)
    last = {task_id: place for task_id, place in places.items() if rounds.is_last(task_id, place.redrive)}
    return Chosen(last, fitting - len(last))


class Redriving:
    """Writes the next round of chosen letters to their lanes."""

    def __init__(self, broker: Broker, topics: Topics, terms: Terms, state_of: StateOf) -> None:
        self._broker = broker
        self._topics = topics
        self._terms = terms
        self._state_of = state_of

    async def run(self, chosen: Chosen, on_progress: OnProgress) -> AsyncGenerator[Outcome, None]:
        """One outcome per letter; `redriven` is said when Kafka has the record.

        Raises:
            BrokerError: some may not have been written.
        """
        producer = self._broker.producer(client_id="muster-dlq")
        await producer.start()
        waiting: list[tuple[Outcome, asyncio.Future[Position]]] = []
        next_at = asyncio.get_running_loop().time()
        try:
            async with aclosing(read_letters(self._broker, self._topics.dead_letter, on_progress)) as letters:
                async for letter in letters:
                    if not _is_chosen(letter, chosen):
                        continue
                    outcome, again = await self._judge(letter)
                    if again is None or self._terms.dry_run:
                        yield outcome
                        continue
                    next_at = await self._paced(next_at)
                    waiting.append((outcome, await _write(producer, again)))
                    if len(waiting) >= IN_FLIGHT or self._terms.rate:
                        for written in await _acknowledged(waiting):
                            yield written
            for written in await _acknowledged(waiting):
                yield written
        finally:
            await producer.stop()

    async def _judge(self, letter: Letter) -> tuple[Outcome, Redriven | None]:
        why = letter.why
        said = Outcome(task_id=why.task_id, task_type=self._terms.edit.task_type or why.task_type, outcome="refused")
        state = await self._state_of(why.task_id)
        if state not in (None, TaskState.FAILURE):
            return msgspec.structs.replace(said, outcome="skipped", reason=f"it is {state} by now"), None
        try:
            again = redrive(
                letter.record.headers, letter.record.value, self._topics, now=datetime.now(UTC),
                edit=self._terms.edit, max_redrives=self._terms.max_redrives, vouch=self._terms.vouch,
            )  # fmt: skip
        except RedriveRefused as refusal:
            return msgspec.structs.replace(said, reason=str(refusal)), None
        done = "planned" if self._terms.dry_run else "redriven"
        return msgspec.structs.replace(
            said, outcome=done, redrive=again.task.redrive, lane=again.task.route or again.topic
        ), again

    async def _paced(self, next_at: float) -> float:
        """Wait for this record's turn; when the next one's comes."""
        if not self._terms.rate:
            return next_at
        clock = asyncio.get_running_loop()
        await asyncio.sleep(max(0.0, next_at - clock.time()))
        return max(next_at, clock.time()) + 1 / self._terms.rate


def _is_chosen(letter: Letter, chosen: Chosen) -> bool:
    place = chosen.places.get(letter.why.task_id)
    return place is not None and place[2:] == (letter.record.partition, letter.record.offset)


async def _write(producer: Producer, again: Redriven) -> asyncio.Future[Position]:
    task = again.task
    return await producer.send(again.topic, task.body, key=task.key, headers=task.headers())


async def _acknowledged(waiting: list[tuple[Outcome, asyncio.Future[Position]]]) -> list[Outcome]:
    await asyncio.gather(*(written for _, written in waiting))
    outcomes = [outcome for outcome, _ in waiting]
    waiting.clear()
    return outcomes
