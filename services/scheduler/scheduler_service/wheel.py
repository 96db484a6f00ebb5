"""One delayed record and its next step: on to a shorter retry topic, to its lane, or wait. Pure: no Kafka, no clock.

Instants are seconds since the epoch. What is written for a step is outgoing.py.
"""

from __future__ import annotations

from dataclasses import dataclass

from muster.contracts.dead_letter import task_of_unreadable
from muster.contracts.delay import next_delay
from muster.contracts.envelope import TaskRecord, parse_task
from muster.contracts.errors import InvalidRecord
from muster.contracts.topics import DELAYS, Topics
from muster.ports import Record


@dataclass(frozen=True, slots=True)
class To:
    """Write the record to this topic now."""

    topic: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing can be done before this instant."""

    until: float


@dataclass(frozen=True, slots=True)
class Traveller:
    """A record on its way to its due time, read once."""

    record: Record
    task: TaskRecord
    due: float
    #: When the fixed delay of the topic it lies in is over.
    hop_ends: float
    #: Its lane, or the dead-letter topic.
    destination: str
    #: Why it goes to the dead letter.
    refusal: str = ""


class Wheel:
    """The routes over the retry topics of one installation."""

    def __init__(self, topics: Topics) -> None:
        self._topics = topics
        self._delays = {topics.delay(seconds): seconds for seconds in DELAYS}
        self._destinations = frozenset((*topics.all_lanes(), topics.keyed))

    @property
    def intake(self) -> tuple[str, ...]:
        """Every topic that holds records on their way."""
        return (self._topics.retry, *self._delays)

    def read(self, record: Record) -> Traveller:
        """Read a record of the intake; one that cannot be read is bound for the dead letter, at once."""
        try:
            task = parse_task(record.headers, record.value)
            route = self._check_route(task.route)
        except InvalidRecord as error:
            task = task_of_unreadable(
                record.headers, topic=record.topic, partition=record.partition, offset=record.offset
            )
            return Traveller(record, task, 0.0, 0.0, self._topics.dead_letter, str(error))
        seconds = self._delays.get(record.topic)
        hop_ends = record.timestamp_ms / 1000 + seconds if seconds else 0.0
        # Without a due time it is due now.
        due = task.not_before.timestamp() if task.not_before else 0.0
        return Traveller(record, task, due, hop_ends, route)

    def step(self, traveller: Traveller, now: float) -> To | Wait:
        """What happens to the record now. Only `now`, the mover's own clock, can make a record due: never early."""
        if traveller.due <= now:
            return To(traveller.destination)
        if traveller.hop_ends > now:
            return Wait(min(traveller.hop_ends, traveller.due))
        seconds = next_delay(traveller.due - now)
        return To(self._topics.delay(seconds)) if seconds else Wait(traveller.due)

    def _check_route(self, route: str | None) -> str:
        if route is None or route not in self._destinations:
            found = "it is missing" if route is None else f"got {route[:80]!r}"
            wanted = f"the lane to go to when due, such as {self._topics.lane('media')}"
            raise InvalidRecord(f"header task-route must be {wanted}; {found}")
        return route
