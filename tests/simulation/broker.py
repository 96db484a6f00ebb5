"""The log in memory: partitions, writes that land late or never, one consumer group, one mover's transactions.

Who writes what is the processes' business.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from muster.contracts.topics import DELAYS, Topics
from muster.ports import Headers, Record, TopicPartition

from .timeline import EPOCH, Act, Process, Timeline

TOPICS = Topics("")
LANE = TOPICS.lane("media")
COUNTS = {LANE: 2, TOPICS.events: 2, TOPICS.retry: 1, TOPICS.dead_letter: 1, TOPICS.workers: 1}
COUNTS |= {TOPICS.keyed: 1, TOPICS.control: 1}
COUNTS |= {TOPICS.delay(seconds): 1 for seconds in DELAYS}
#: Seconds until a write lands; the longest must be shorter than what lies between fence and lease.
DELAYS_OF_WRITES = (0.002, 0.005, 0.02, 0.02, 0.3, 2.0, 4.0)
Write = tuple[str, bytes | None, bytes | None, Headers]


@dataclass(eq=False, slots=True)
class Flight:
    """A request on its way; one of a dead sender may be lost."""

    sender: Process
    lost: bool = False


class Broker:
    """Kafka, as far as the protocol can see it."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self.partitions: dict[TopicPartition, list[Record]] = {
            TopicPartition(topic, number): [] for topic, count in COUNTS.items() for number in range(count)
        }
        self.lanes = [partition for partition in self.partitions if partition.topic == LANE]
        #: Called after each record that landed.
        self.listeners: list[Callable[[Record], None]] = []
        self._flights: dict[Flight, None] = {}
        self._last_landing: dict[Process, float] = {}
        #: Which mover holds the transactional id, and which records it has moved, both atomically with its writes.
        self.epoch = 0
        #: Which leader holds the pen.
        self.leader_epoch = 0
        #: Which leader holds the pen of the calls.
        self.caller_epoch = 0
        self.moved: set[tuple[str, int]] = set()

    def send(
        self,
        sender: Process,
        write: Write,
        acknowledged: Act | None = None,
        landed: Act | None = None,
        number: int | None = None,
    ) -> None:
        """A producer is idempotent and keeps its order; its acknowledgements come later still."""

        def land() -> None:
            self.append(write, number)
            if landed:
                landed()
            if acknowledged:
                sender.later(self._delay(), acknowledged)

        at = max(self._timeline.now + self._delay(), self._last_landing.get(sender, 0.0))
        self._last_landing[sender] = at
        self._fly(sender, at, land)

    def request(self, sender: Process, ask: Callable[[], bool], answered: Callable[[bool | None], None]) -> None:
        """Any other request; the answer may be lost (None) although it took effect."""

        def land() -> None:
            answer = ask()
            lost = self._timeline.random.random() < 0.05
            sender.later(self._delay(), lambda: answered(None if lost else answer))

        self._fly(sender, self._timeline.now + self._delay(), land)

    def move(self, sender: Process, epoch: int, write: Write, source: Record, fenced: bool = True) -> None:
        """A transaction: the record and the offset it came from, or nothing."""

        def commit() -> None:
            if not fenced or (epoch == self.epoch and (source.topic, source.offset) not in self.moved):
                self.moved.add((source.topic, source.offset))
                self.append(write)

        self._fly(sender, self._timeline.now + self._delay(), commit)

    def lose_some(self, sender: Process) -> None:
        """The sender died: each of its requests under way arrives or does not."""
        for flight in self._flights:
            if flight.sender is sender and self._timeline.random.random() < 0.5:
                flight.lost = True

    def append(self, write: Write, number: int | None = None) -> None:
        """Into partition `number`, or where the key leads."""
        topic, key, value, headers = write
        partition = TopicPartition(topic, zlib.crc32(key or b"") % COUNTS[topic] if number is None else number)
        log = self.partitions[partition]
        stamp = int((EPOCH.timestamp() + self._timeline.now) * 1000)
        record = Record(topic, partition.partition, len(log), stamp, key, value, tuple(headers))
        log.append(record)
        for listener in self.listeners:
            listener(record)

    def ends(self, topics: Sequence[str]) -> Mapping[TopicPartition, int]:
        return {partition: len(log) for partition, log in self.partitions.items() if partition.topic in topics}

    def _fly(self, sender: Process, at: float, land: Act) -> None:
        flight = Flight(sender)
        self._flights[flight] = None

        def arrive() -> None:
            del self._flights[flight]
            if not flight.lost:
                land()

        self._timeline.at(at, arrive)

    def _delay(self) -> float:
        return self._timeline.random.choice(DELAYS_OF_WRITES)
