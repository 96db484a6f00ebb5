"""Topics, partitions and transactions of the log in memory. Groups and clients are in the other memory modules."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum

from muster.adapters.partitioning import partition_of
from muster.contracts.errors import BrokerError
from muster.contracts.topics import TopicSpec
from muster.ports import Clock, Headers, Position, Record, TopicPartition

#: Kafka's own default where a topic does not say.
DEFAULT_MAX_BYTES = 1024 * 1024
#: The broker aborts a transaction that is open for longer.
TRANSACTION_SECONDS = 5.0


class Fate(Enum):
    """How a transaction stands."""

    OPEN = "open"
    COMMITTED = "committed"
    ABORTED = "aborted"


@dataclass
class Transaction:
    """One transaction of one transactional id."""

    transactional_id: str
    #: On the clock's monotonic time.
    deadline: float
    fate: Fate = Fate.OPEN
    touched: set[TopicPartition] = field(default_factory=set)


@dataclass(frozen=True)
class Entry:
    """One offset: a record, or the marker that ends a transaction."""

    record: Record | None
    transaction: Transaction | None = None

    @property
    def visible(self) -> bool:
        committed = self.transaction is None or self.transaction.fate is Fate.COMMITTED
        return self.record is not None and committed


class Log:
    """All topics of one broker."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._partitions: dict[TopicPartition, list[Entry]] = {}
        self._open: list[Transaction] = []
        self._turn = itertools.count()
        self.topics: dict[str, TopicSpec] = {}
        #: Called after every change that a waiting reader could see.
        self.watchers: set[Callable[[], None]] = set()

    def declare(self, spec: TopicSpec) -> None:
        """Create a topic, or widen it and set what `spec` sets; nothing shrinks."""
        known = self.topics.get(spec.name)
        partitions = max(spec.partitions, known.partitions if known else 0)
        self.topics[spec.name] = TopicSpec(spec.name, partitions, {**(known.config if known else {}), **spec.config})
        for number in range(partitions):
            self._partitions.setdefault(TopicPartition(spec.name, number), [])

    def partitions(self, topic: str) -> list[TopicPartition]:
        """Every partition of a topic.

        Raises:
            BrokerError: there is no such topic.
        """
        if topic not in self.topics:
            raise BrokerError(f"there is no topic {topic}: create it first (muster topics apply)")
        return [TopicPartition(topic, number) for number in range(self.topics[topic].partitions)]

    def append(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: Headers,
        partition: int | None = None,
        transaction: Transaction | None = None,
    ) -> Position:
        """Write one record.

        Raises:
            BrokerError: no such topic or partition, nothing to write, or larger than the topic allows.
        """
        where = self._choose(topic, key, partition)
        self._check(topic, key, value, headers)
        entries = self._partitions[where]
        at = int(self._clock.now().timestamp() * 1000)
        record = Record(topic, where.partition, len(entries), at, key, value, tuple(headers))
        entries.append(Entry(record, transaction))
        if transaction is not None:
            transaction.touched.add(where)
        self._changed()
        return Position(topic, where.partition, record.offset)

    def read(
        self, where: TopicPartition, offset: int, limit: int, *, committed_only: bool = True
    ) -> tuple[list[Record], int]:
        """At most `limit` visible records from `offset` on, and the offset to go on from."""
        entries = self._partitions[where]
        found: list[Record] = []
        end = self.end(where, committed_only=committed_only)
        while offset < end and len(found) < limit:
            entry = entries[offset]
            if entry.record is not None and (entry.visible or not committed_only):
                found.append(entry.record)
            offset += 1
        return found, offset

    def end(self, where: TopicPartition, *, committed_only: bool = True) -> int:
        """The last stable offset, as an open transaction hides what follows its first record; or the log's own end."""
        self._expire()
        entries = self._partitions[where]
        if not committed_only or not any(where in transaction.touched for transaction in self._open):
            return len(entries)
        return next(n for n, entry in enumerate(entries) if entry.transaction in self._open)

    def begin(self, transactional_id: str) -> Transaction:
        transaction = Transaction(transactional_id, self._clock.monotonic() + TRANSACTION_SECONDS)
        self._open.append(transaction)
        return transaction

    def finish(self, transaction: Transaction, fate: Fate) -> None:
        """Commit or abort; its marker takes an offset in every partition, as in Kafka."""
        if transaction.fate is not Fate.OPEN:
            return
        transaction.fate = fate
        self._open.remove(transaction)
        for where in sorted(transaction.touched):
            self._partitions[where].append(Entry(None, transaction))
        self._changed()

    def abort_all(self, transactional_id: str) -> None:
        """End what an older producer of this id has left open."""
        for transaction in [t for t in self._open if t.transactional_id == transactional_id]:
            self.finish(transaction, Fate.ABORTED)

    def _expire(self) -> None:
        for transaction in [t for t in self._open if t.deadline <= self._clock.monotonic()]:
            self.finish(transaction, Fate.ABORTED)

    def _choose(self, topic: str, key: bytes | None, partition: int | None) -> TopicPartition:
        count = len(self.partitions(topic))
        if partition is None:
            partition = next(self._turn) % count if key is None else partition_of(key, count)
        if not 0 <= partition < count:
            raise BrokerError(f"{topic} has no partition {partition}, only 0 to {count - 1}")
        return TopicPartition(topic, partition)

    def _check(self, topic: str, key: bytes | None, value: bytes | None, headers: Iterable[tuple[str, bytes]]) -> None:
        if key is None and value is None:
            raise BrokerError(f"a record for {topic} needs a key or a value")
        size = len(key or b"") + len(value or b"") + sum(len(name) + len(content) for name, content in headers)
        limit = int(self.topics[topic].config.get("max.message.bytes", DEFAULT_MAX_BYTES))
        if size > limit:
            raise BrokerError(f"a record of {size:,} bytes is larger than {topic} allows ({limit:,} bytes)")

    def _changed(self) -> None:
        for watcher in tuple(self.watchers):
            watcher()
