"""What this process does: the consumer group deals out `tasks.retry`, each partition of which is a shard, and
`tasks.schedules`, whose owner fires the schedules.

Moving records is shard.py's part and firing periodic.py's; here they are only started, restarted after an error, and
stopped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import partial
from typing import Protocol

from muster.contracts.errors import BrokerError, ConfigurationError
from muster.contracts.schedule import Schedule
from muster.contracts.topics import Topics
from muster.observability.logging import get_logger
from muster.observability.metrics import REBALANCES
from muster.ports import Broker, Clock, TopicPartition

from scheduler_service.periodic import Periodic
from scheduler_service.shard import Shard
from scheduler_service.wheel import Wheel

SERVICE = "scheduler"
#: A transaction under way may end; past this, the shard is cancelled (the next owner aborts what it left open).
STOP_SECONDS = 5.0
#: After an error of Kafka; longer would only make records late.
RESTART_SECONDS = 1.0
IDLE_POLL_SECONDS = 0.2
#: A killed process's shards stand still this long. Shards hold nothing but the loop of this process, which is never
#: blocked, so it can be shorter than a worker's.
SESSION_SECONDS = 6.0

_log = get_logger(__name__)


class Session(Protocol):
    """A stretch of work that ends with `stop` or an error."""

    ready: bool

    async def run(self, stop: asyncio.Event) -> None: ...


class Membership:
    """One process of the scheduler; any number of them share the shards, and one has the schedules."""

    def __init__(
        self, broker: Broker, topics: Topics, clock: Clock, worker: str, defaults: Sequence[Schedule] = ()
    ) -> None:
        self._broker = broker
        self._topics = topics
        self._clock = clock
        self._worker = worker
        self._defaults = defaults
        self._intake = Wheel(topics).intake
        #: As declared, not as found: two processes must never disagree about it.
        self._shards = next(spec.partitions for spec in topics.specs() if spec.name == topics.retry)
        self._consumer = broker.consumer(group=topics.group(SERVICE), client_id=worker, session_timeout=SESSION_SECONDS)
        self._running: dict[str, tuple[asyncio.Event, asyncio.Task[None]]] = {}
        self._stopping = asyncio.Event()
        self._assigned = False
        self._sessions: dict[str, Session] = {}

    @property
    def ready(self) -> bool:
        """True while all that the group gave to this process is at work; a standby has nothing."""
        return self._assigned and all(name in self._sessions and self._sessions[name].ready for name in self._running)

    def stop(self) -> None:
        """Begin to drain: `run` returns when every shard has ended its transaction and the group is left."""
        self._stopping.set()

    async def run(self) -> None:
        """Take part until `stop`.

        Raises:
            ConfigurationError: topics are missing.
            BrokerError: Kafka cannot be reached at the start.
        """
        await self._partitions()
        # Every topic of the intake, not only the one that deals out the shards: Kafka forgets the offsets of topics
        # that a living group does not subscribe to after a week, and everything in them would be moved again.
        self._consumer.subscribe((*self._intake, self._topics.schedules), self)
        await self._consumer.start()
        try:
            while not self._stopping.is_set():
                # Reads nothing, all is paused; but who does not poll is not told of a new assignment.
                await self._poll()
        finally:
            await self._stop_sessions()
            await self._consumer.stop()

    async def _poll(self) -> None:
        try:
            await self._consumer.poll(max_records=1, timeout=IDLE_POLL_SECONDS)
        except BrokerError as error:
            _log.warning("Kafka does not answer", action="membership.unanswered", error=str(error))
            await self._clock.sleep(RESTART_SECONDS)

    async def on_assigned(self, partitions: Collection[TopicPartition]) -> None:
        """Called with the whole new assignment: the shards read by consumers of their own."""
        self._consumer.pause(partitions)
        # After a lost session nobody was told of a revocation.
        await self._stop_sessions()
        REBALANCES.labels(SERVICE).inc()
        mine = sorted(p.partition for p in partitions if p.topic == self._topics.retry and p.partition < self._shards)
        schedules = TopicPartition(self._topics.schedules, 0) in partitions
        _log.info("Assigned", action="membership.assigned", shards=mine, schedules=schedules)
        for number in mine:
            self._start(f"shard-{number}", partial(self._shard, number))
        if schedules:
            self._start("schedules", self._periodic)
        self._assigned = True

    async def on_revoked(self, partitions: Collection[TopicPartition]) -> None:
        """Called before partitions move."""
        self._assigned = False
        await self._stop_sessions()

    def _start(self, name: str, session: Callable[[], Awaitable[Session]]) -> None:
        stop = asyncio.Event()
        self._running[name] = (stop, asyncio.create_task(self._keep(name, session, stop), name=name))

    async def _shard(self, number: int) -> Session:
        partitions = await self._partitions(number)
        return Shard(number, partitions, self._broker, self._topics, self._clock, self._worker)

    async def _periodic(self) -> Session:
        return Periodic(self._broker, self._topics, self._clock, self._worker, self._defaults)

    async def _stop_sessions(self) -> None:
        running, self._running = self._running, {}
        tasks = [task for _, task in running.values()]
        for stop, _ in running.values():
            stop.set()
        if tasks:
            _, stuck = await asyncio.wait(tasks, timeout=STOP_SECONDS)
            for task in stuck:
                task.cancel()
            if stuck:
                await asyncio.wait(stuck, timeout=STOP_SECONDS)
        self._sessions.clear()

    async def _keep(self, name: str, make: Callable[[], Awaitable[Session]], stop: asyncio.Event) -> None:
        """Run a shard or the schedules, session after session, until `stop`."""
        while not stop.is_set():
            try:
                self._sessions[name] = session = await make()
                await session.run(stop)
            except Exception as error:  # noqa: BLE001  whatever it was, the next session begins from what is committed
                self._sessions.pop(name, None)
                _log.error(
                    "A session begins again", action="session.restart", part=name, error=str(error),
                    exc_info=None if isinstance(error, BrokerError) else error,
                )  # fmt: skip
                await self._clock.sleep(RESTART_SECONDS)

    async def _partitions(self, shard: int | None = None) -> list[TopicPartition]:
        """What a shard reads (or all of them); partitions beyond the declared number go round to the first shards.

        Raises:
            ConfigurationError: topics are missing.
        """
        admin = self._broker.admin()
        await admin.start()
        try:
            found = await admin.partitions([*self._intake, self._topics.schedules])
        finally:
            await admin.stop()
        missing = [topic for topic in (*self._intake, self._topics.schedules) if topic not in found]
        if missing:
            raise ConfigurationError(f"topics are missing ({', '.join(missing)}): run `muster topics apply`")
        every = (TopicPartition(topic, number) for topic in self._intake for number in range(found[topic]))
        return [partition for partition in every if shard in (None, partition.partition % self._shards)]
