"""What the engine needs from the outside, as Protocols. Adapters implement them; nothing here does I/O."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple, Protocol

from muster.contracts.claim_check import Key
from muster.contracts.limits import NO_LIMITS, ChildLimits
from muster.contracts.topics import TopicSpec


class TopicPartition(NamedTuple):
    """One partition of one topic."""

    topic: str
    partition: int


class Record(NamedTuple):
    """One Kafka record as read; `timestamp_ms` is the broker's or the producer's, as the topic is configured."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]

    @property
    def source(self) -> TopicPartition:
        return TopicPartition(self.topic, self.partition)


class Bookmark(NamedTuple):
    """A group's committed next offset and the note stored with it, of at most 4,000 characters."""

    offset: int
    note: str = ""


class Position(NamedTuple):
    """Where a produced record landed."""

    topic: str
    partition: int
    offset: int


Headers = Sequence[tuple[str, bytes]]


class Producer(Protocol):
    """Writes records; idempotent, acks=all. All methods run on the event loop."""

    async def start(self) -> None: ...

    async def stop(self) -> None:
        """Write what is queued, then close."""

    async def send(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = None,
        headers: Headers = (),
        partition: int | None = None,
    ) -> asyncio.Future[Position]:
        """Queue a record (waits only while the queue is full); the future is done when the broker acknowledged it.

        Raises (here or from the future):
            BrokerError: the record will not be written.
        """

    async def flush(self) -> None:
        """Return when everything queued has been acknowledged or refused."""

    async def abort(self) -> None:
        """Close at once: what is queued is dropped, what is on its way may still be written; open futures fail."""


class TransactionalProducer(Protocol):
    """Writes a batch of records and the offsets they came from, as one transaction (engine.md, the wheel)."""

    async def start(self) -> None:
        """Fence every older producer with the same transactional id."""

    async def stop(self) -> None: ...

    async def move(
        self,
        records: Sequence[tuple[str, bytes | None, bytes | None, Headers]],
        offsets: Mapping[TopicPartition, int | Bookmark],
        group: str,
    ) -> None:
        """Write (topic, key, value, headers) records and commit `offsets` for `group`: all or nothing.

        Raises:
            BrokerError: nothing of it is visible; a fenced producer must be stopped.
        """


class RebalanceListener(Protocol):
    """Called on the event loop by the consumer's background task; both must end well within the session timeout."""

    async def on_revoked(self, partitions: Collection[TopicPartition]) -> None:
        """Called before partitions are taken away: nothing may be accepted from here on until `on_assigned`."""

    async def on_assigned(self, partitions: Collection[TopicPartition]) -> None:
        """Called with the whole new assignment (eager protocol: partitions that stay are named again)."""


class Consumer(Protocol):
    """A member of a consumer group (or a plain reader when the group is None)."""

    async def start(self) -> None: ...

    async def stop(self) -> None:
        """Leave the group at once and close; uncommitted records go to others."""

    def subscribe(self, topics: Collection[str], listener: RebalanceListener | None = None) -> None:
        """Join the group for these topics. Call before `start`."""

    def assign(self, partitions: Collection[TopicPartition]) -> None:
        """Read these partitions without a group."""

    def assignment(self) -> frozenset[TopicPartition]: ...

    async def poll(
        self, *, max_records: int | None = None, timeout: float = 0.1, only: Collection[TopicPartition] | None = None
    ) -> list[Record]:
        """At most `max_records` records, waiting up to `timeout` seconds for the first; empty when none came."""

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Commit next offsets of owned partitions.

        Raises:
            CommitRefused: a partition is not ours any more, or the group moved on.
            BrokerError: the broker did not answer; the outcome is unknown.
        """

    async def committed(self, partition: TopicPartition) -> int | None: ...

    async def seek(self, partition: TopicPartition, offset: int) -> None: ...

    async def position(self, partition: TopicPartition) -> int:
        """Where reading goes on: past what `poll` returned and past what no reader sees, such as transaction markers.

        Next offsets computed from records alone never reach the end of a partition that ends with a marker.
        """

    def backlog(self) -> int:
        """Records (and transaction markers) known to wait in the assigned partitions, without asking the broker."""

    async def seek_to_beginning(self, partitions: Collection[TopicPartition]) -> None: ...

    def pause(self, partitions: Collection[TopicPartition]) -> None: ...

    def resume(self, partitions: Collection[TopicPartition]) -> None: ...

    async def beginning_offsets(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]: ...

    async def end_offsets(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]: ...


class TopicChange(NamedTuple):
    """What `apply` did, or would do, to one topic: create, alter, keep."""

    topic: str
    action: str
    detail: str = ""


class Admin(Protocol):
    """Cluster administration."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def apply(
        self, specs: Iterable[TopicSpec], *, replication_factor: int = 1, dry_run: bool = False
    ) -> list[TopicChange]:
        """Create missing topics, add missing partitions, correct configs; never deletes and never shrinks."""

    async def partitions(self, topics: Collection[str]) -> dict[str, int]:
        """Number of partitions of each topic that exists."""

    async def committed(self, group: str) -> dict[TopicPartition, int]:
        """The group's committed next offsets."""

    async def bookmarks(self, group: str) -> dict[TopicPartition, Bookmark]:
        """The group's committed next offsets with their notes."""


class Broker(Protocol):
    """Makes clients of one Kafka cluster (or of the log in memory)."""

    def producer(self, *, client_id: str = "muster", linger_ms: int = 2) -> Producer: ...

    def transactional_producer(self, transactional_id: str) -> TransactionalProducer: ...

    def consumer(
        self,
        *,
        group: str | None = None,
        client_id: str = "muster",
        group_instance_id: str | None = None,
        from_beginning: bool = True,
        session_timeout: float = 10.0,
        committed_only: bool = True,
    ) -> Consumer:
        """No auto-commit; where nothing is committed, reading begins at the beginning (or the end).

        A member that is silent for `session_timeout` seconds loses its partitions; how long it polls nothing does not
        matter. `committed_only` is read_committed: what an open transaction holds, and all behind it, is neither read
        nor counted by `end_offsets`. Without it both are.
        """

    def admin(self) -> Admin: ...


class PayloadStore(Protocol):
    """Keeps payloads under keys, and nothing outside its own root can be reached through it.

    Every method raises PayloadUnavailable when the store does not answer.
    """

    async def put(self, key: Key, data: bytes) -> None:
        """Store it whole or not at all; the same key always has the same content."""

    async def get(self, key: Key, *, max_bytes: int) -> bytes:
        """At most `max_bytes` of its beginning. Raises PayloadUnavailable also when there is none."""

    async def keys(self, *, before: date) -> list[Key]:
        """Every key whose `keep_until` is earlier."""

    async def remove(self, keys: Collection[Key]) -> None:
        """Those that are gone already are no error."""


class Clock(Protocol):
    """Time, so that tests and the simulation can own it."""

    def now(self) -> datetime:
        """The current instant, aware, UTC."""

    def monotonic(self) -> float:
        """Seconds that never go back."""

    async def sleep(self, seconds: float) -> None: ...


class Compute(Protocol):
    """Runs pure, picklable functions in child processes that can be killed."""

    async def run(
        self,
        function: Callable[..., Any],
        *args: Any,
        timeout: float | None = None,
        limits: ChildLimits = NO_LIMITS,
    ) -> Any:
        """The function's result; cancelling the awaiting task kills the child at once.

        Raises:
            TimeLimitExceeded: `timeout` seconds were over; the child was killed.
            SoftTimeLimitExceeded: the function did not catch it, or no child was free until then.
            MemoryLimitExceeded: the function wanted more memory than it may use.
        """

    async def close(self) -> None: ...


class Effect(Protocol):
    """One guarded effect inside an open transaction."""

    @property
    def done(self) -> bool:
        """True when an earlier run of the task already had this effect; then only `result` may be used."""

    @property
    def result(self) -> Any: ...

    @property
    def connection(self) -> Any:
        """The connection whose transaction holds the guard; write the effect through it."""

    def finish(self, result: Any = None) -> None:
        """Set the JSON result that is stored with the guard."""
