"""Reads records from Kafka, as a member of a group or alone. What is accepted, and when, is the worker's business."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener
from aiokafka import TopicPartition as KafkaPartition
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.structs import ConsumerRecord

from muster.adapters import kafka_records
from muster.adapters.kafka_access import not_started
from muster.adapters.kafka_errors import KAFKA_FAILURES, broker_error, commit_error
from muster.contracts.errors import BrokerError
from muster.ports import RebalanceListener, Record, TopicPartition

#: Members hear of a rebalance with their next heartbeat to the group, and nobody takes records until the last has: a
#: quarter of a session, as is usual, was 2.5 s of standstill whenever a worker came or left.
GROUP_BEAT_MS = 500
#: How long the broker waits for news; a new record is answered at once.
FETCH_WAIT_MS = 500
#: Per partition and answer. A record larger than this still comes, alone: at least one batch is always returned.
PARTITION_BYTES = 1024 * 1024
REQUEST_SECONDS = 20
#: aiokafka looks for a lost coordinator for ever; the outcome of a commit is called unknown before that.
COMMIT_SECONDS = 10.0
STOP_SECONDS = 10.0
#: How far `poll` may outlast its timeout when a rebalance begins under it.
POLL_GRACE_SECONDS = 0.05


@dataclass(frozen=True)
class ConsumerOptions:
    """See ports.Broker.consumer; times in seconds."""

    group: str | None
    client_id: str
    group_instance_id: str | None
    from_beginning: bool
    session_timeout: float
    committed_only: bool = True

    def as_keywords(self) -> dict[str, Any]:
        session_ms = int(self.session_timeout * 1000)
        return {
            "group_id": self.group,
            "client_id": self.client_id,
            "group_instance_id": self.group_instance_id,
            "auto_offset_reset": "earliest" if self.from_beginning else "latest",
            "enable_auto_commit": False,
            "isolation_level": "read_committed" if self.committed_only else "read_uncommitted",
            "session_timeout_ms": session_ms,
            "heartbeat_interval_ms": max(100, min(GROUP_BEAT_MS, session_ms // 4)),
            "fetch_max_wait_ms": FETCH_WAIT_MS,
            "max_partition_fetch_bytes": PARTITION_BYTES,
            "request_timeout_ms": REQUEST_SECONDS * 1000,
            # Round robin deals all lanes out together, so that no worker has more than one partition above another;
            # range gives the first members the surplus of every lane. Keeping partitions (sticky) gains nothing
            # here: the protocol is eager, and tasks run on wherever their partition goes.
            "partition_assignment_strategy": (RoundRobinPartitionAssignor,),
        }


class KafkaConsumer(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """A reader (ports.Consumer). Between `on_revoked` and the end of `on_assigned`, `poll` returns nothing."""

    def __init__(self, connection: dict[str, Any], options: ConsumerOptions) -> None:
        self._keywords = {**connection, **options.as_keywords()}
        self._group = options.group
        self._committed_only = options.committed_only
        self._subscribed: Collection[str] = ()
        self._assigned: Collection[TopicPartition] = ()
        self._listener: RebalanceListener | None = None
        self._settled = asyncio.Event()
        self._client: AIOKafkaConsumer | None = None
        self._polling = ExitStack()

    # Joining and leaving

    def subscribe(self, topics: Collection[str], listener: RebalanceListener | None = None) -> None:
        if self._group is None:
            raise ValueError("a consumer without a group cannot subscribe: assign partitions, or name a group")
        self._subscribed, self._listener = tuple(topics), listener

    def assign(self, partitions: Collection[TopicPartition]) -> None:
        self._assigned = tuple(partitions)
        self._settled.set()
        if self._client is not None:
            self._client.assign(_theirs(partitions))

    async def start(self) -> None:
        """Connect and, with a group, join it and wait for the first assignment.

        Raises:
            BrokerError: no broker answered, a topic is unknown or the group refused us.
        """
        kafka_records.install()
        client = self._client = AIOKafkaConsumer(**self._keywords)
        # As if a poll were always under way: aiokafka would leave the group for a worker whose slots are full longer
        # than max_poll_interval_ms, and may then never join again (0.14: its coordination ends with the heartbeat that
        # it cancels in the middle of leaving). Liveness is the heartbeats' job.
        self._polling.enter_context(client._subscription.fetch_context())
        if self._subscribed:
            client.subscribe(list(self._subscribed), listener=self)
        else:
            client.assign(_theirs(self._assigned))
        try:
            await client.start()
            # A client without a group that is stopped before its background task took a first step ends in
            # CancelledError and leaves its connections open (aiokafka 0.14).
            await asyncio.sleep(0)
        except KAFKA_FAILURES as error:
            await self.stop()
            what = ", ".join(self._subscribed) or f"{len(self._assigned)} partitions"
            raise await not_started(self._keywords, f"open {what} for reading", error) from error

    async def stop(self) -> None:
        client, self._client = self._client, None
        if client is None:
            return
        self._polling.close()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await client.stop()
        except asyncio.CancelledError:
            # Without a broker, aiokafka lets the cancellation of its own fetches escape, and closes no connection.
            await client._client.close()
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
        except KAFKA_FAILURES as error:
            await client._client.close()
            raise broker_error("say good-bye to a stopping consumer", error) from error

    async def on_partitions_revoked(self, revoked: Collection[KafkaPartition]) -> None:
        """Called by aiokafka before it joins again; heartbeats go on meanwhile."""
        self._settled.clear()
        if self._listener is not None:
            await self._listener.on_revoked(_ours(revoked))

    async def on_partitions_assigned(self, assigned: Collection[KafkaPartition]) -> None:
        """Called by aiokafka when the new assignment is in force."""
        try:
            if self._listener is not None:
                await self._listener.on_assigned(_ours(assigned))
        finally:
            self._settled.set()

    def assignment(self) -> frozenset[TopicPartition]:
        return frozenset(_ours(self._client.assignment())) if self._client is not None else frozenset()

    # Reading

    async def poll(
        self, *, max_records: int | None = None, timeout: float = 0.1, only: Collection[TopicPartition] | None = None
    ) -> list[Record]:
        client = self._running()
        if only is not None and not only:
            await asyncio.sleep(timeout)
            return []
        partitions = _theirs(only) if only else ()
        try:
            async with asyncio.timeout(timeout + POLL_GRACE_SECONDS):
                if not self._settled.is_set():
                    await self._settled.wait()
                batches = await client.getmany(*partitions, timeout_ms=int(timeout * 1000), max_records=max_records)
        except TimeoutError:
            return []
        except KAFKA_FAILURES as error:
            raise broker_error("be read", error) from error
        if not self._settled.is_set():
            # The new assignment is in force, but `on_assigned` has not been told yet: they are not ours to give.
            self._put_back(batches)
            return []
        return [_record(message) for messages in batches.values() for message in messages]

    def _put_back(self, batches: Mapping[KafkaPartition, list[ConsumerRecord]]) -> None:
        client = self._running()
        for partition, messages in batches.items():
            client.seek(partition, messages[0].offset)

    async def seek(self, partition: TopicPartition, offset: int) -> None:
        try:
            self._running().seek(KafkaPartition(*partition), offset)
        except KAFKA_FAILURES as error:
            raise broker_error(f"seek in {_named([partition])}", error) from error

    async def position(self, partition: TopicPartition) -> int:
        try:
            position: int = await self._running().position(KafkaPartition(*partition))
        except KAFKA_FAILURES as error:
            raise broker_error(f"tell the position in {_named([partition])}", error) from error
        return position

    def backlog(self) -> int:
        """From the last answer to a fetch; aiokafka's public accessors leave out where reading stands."""
        subscription = self._client._subscription.subscription if self._client is not None else None
        assignment = subscription.assignment if subscription is not None else None
        if assignment is None:
            return 0
        states = [assignment.state_value(partition) for partition in assignment.tps]
        return sum(
            max(0, (state.lso if self._committed_only else state.highwater) - state.position)
            for state in states
            if state.has_valid_position and state.highwater is not None
        )

    async def seek_to_beginning(self, partitions: Collection[TopicPartition]) -> None:
        try:
            await self._running().seek_to_beginning(*_theirs(partitions))
        except KAFKA_FAILURES as error:
            raise broker_error(f"seek in {_named(partitions)}", error) from error

    def pause(self, partitions: Collection[TopicPartition]) -> None:
        """Records already fetched from them are thrown away and fetched again later; the position is kept."""
        owned = self.assignment()
        self._running().pause(*_theirs([p for p in partitions if p in owned]))

    def resume(self, partitions: Collection[TopicPartition]) -> None:
        owned = self.assignment()
        self._running().resume(*_theirs([p for p in partitions if p in owned]))

    # Offsets

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        if not offsets:
            return
        try:
            async with asyncio.timeout(COMMIT_SECONDS):
                await self._running().commit({KafkaPartition(*p): offset for p, offset in offsets.items()})
        except KAFKA_FAILURES as error:
            raise commit_error(_named(offsets), error) from error

    async def committed(self, partition: TopicPartition) -> int | None:
        try:
            offset: int | None = await self._running().committed(KafkaPartition(*partition))
        except KAFKA_FAILURES as error:
            raise broker_error(f"tell the committed offset of {_named([partition])}", error) from error
        return offset

    async def beginning_offsets(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        try:
            return _positions(await self._running().beginning_offsets(_theirs(partitions)))
        except KAFKA_FAILURES as error:
            raise broker_error(f"tell the first offsets of {_named(partitions)}", error) from error

    async def end_offsets(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        """Ends as this reader sees them: read_committed counts neither an open transaction nor what follows it."""
        try:
            return _positions(await self._running().end_offsets(_theirs(partitions)))
        except KAFKA_FAILURES as error:
            raise broker_error(f"tell the end offsets of {_named(partitions)}", error) from error

    def _running(self) -> AIOKafkaConsumer:
        if self._client is None:
            raise BrokerError("the consumer is not running: start it first, and do not use it after stop")
        return self._client


def _record(message: ConsumerRecord) -> Record:
    return Record(
        message.topic,
        message.partition,
        message.offset,
        message.timestamp,
        message.key,
        message.value,
        # A header may have no value; nobody needs to tell that from an empty one.
        _with_values(message.headers) if None in [raw for _, raw in message.headers] else message.headers,
    )


def _with_values(headers: Sequence[tuple[str, bytes | None]]) -> tuple[tuple[str, bytes], ...]:
    return tuple((name, raw or b"") for name, raw in headers)


def _theirs(partitions: Collection[TopicPartition]) -> list[KafkaPartition]:
    return [KafkaPartition(*partition) for partition in partitions]


def _ours(partitions: Collection[KafkaPartition]) -> list[TopicPartition]:
    return [TopicPartition(*partition) for partition in partitions]


def _positions(offsets: Mapping[KafkaPartition, int]) -> dict[TopicPartition, int]:
    return {TopicPartition(*partition): offset for partition, offset in offsets.items()}


def _named(partitions: Collection[TopicPartition]) -> str:
    return ", ".join(f"{topic}/{partition}" for topic, partition in sorted(partitions)) or "no partitions"
