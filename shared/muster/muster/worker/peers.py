"""Follows the heartbeats of a worker's own service: who is there, how busy, with which partitions.

Nothing is decided here; sharing.py does that. A picture that is a moment old costs a task a detour, never more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from muster.contracts.errors import UNREADABLE, BrokerError
from muster.contracts.events import Heartbeat, decode_heartbeat
from muster.contracts.topics import Topics
from muster.observability.logging import get_logger
from muster.ports import Broker, Clock, Record, TopicPartition
from muster.settings import Settings
from muster.worker.sharing import Load, Peer

#: A worker that missed two beats is passed over; whether it is dead is not ours to say.
SILENT_BEATS = 2.5
#: A task handed over fills a slot of its new worker in our picture, until that worker names it or this long (seconds).
TRAVEL_SECONDS = 0.4
RETRY_SECONDS = 1.0

_log = get_logger(__name__)


@dataclass
class _Heard:
    """The last beat of one worker, and the tasks on their way to it."""

    load: Load
    at: float
    #: Task id -> until when it counts as under way.
    travelling: dict[str, float] = field(default_factory=dict)


class Peers:
    """The other workers of one service. `on_news` is called after each of their beats."""

    def __init__(
        self, broker: Broker, topics: Topics, settings: Settings, service: str, worker: str, clock: Clock
    ) -> None:
        self._topic = topics.workers
        self._service = service
        self._worker = worker
        self._clock = clock
        self._silence = SILENT_BEATS * settings.beat_seconds
        # Only what comes from now on: an old beat says nothing about who is idle.
        self._consumer = broker.consumer(client_id="muster-peers", from_beginning=False)
        self._heard: dict[str, _Heard] = {}

    async def follow(self, on_news: Callable[[], None]) -> None:
        """Listen until cancelled. Without Kafka there are no peers: hand-over is a help, not a duty."""
        self._consumer.assign([TopicPartition(self._topic, 0)])
        while True:
            try:
                await self._consumer.start()
                while True:
                    for record in await self._consumer.poll(timeout=5.0):
                        if self._hear(record):
                            on_news()
            except BrokerError as error:
                _log.warning("Heartbeats cannot be read", action="peers.unread", error=str(error))
                await self._clock.sleep(RETRY_SECONDS)

    async def stop(self) -> None:
        await self._consumer.stop()

    def present(self) -> list[Peer]:
        """Who was heard of late; slots that tasks are on their way to count as taken."""
        now = self._clock.monotonic()
        self._heard = {worker: heard for worker, heard in self._heard.items() if now - heard.at <= self._silence}
        return [Peer(worker, _less_travellers(heard, now)) for worker, heard in self._heard.items()]

    def expect(self, worker: str, task_id: str) -> None:
        """A task is on its way to `worker`."""
        heard = self._heard.get(worker)
        if heard is not None:
            heard.travelling[task_id] = self._clock.monotonic() + TRAVEL_SECONDS

    def _hear(self, record: Record) -> bool:
        try:
            beat = decode_heartbeat(record.value or b"")
        except UNREADABLE:
            return False  # the projection counts and logs what cannot be read
        if beat.service != self._service or beat.worker == self._worker:
            return False
        if beat.leaving:
            self._heard.pop(beat.worker, None)
            return True
        before = self._heard.get(beat.worker)
        travelling = {} if before is None else before.travelling
        for task_id in beat.tasks:
            travelling.pop(task_id, None)
        self._heard[beat.worker] = _Heard(_load(beat), self._clock.monotonic(), travelling)
        return True


def _load(beat: Heartbeat) -> Load:
    partitions = (TopicPartition(topic, number) for topic, number in beat.partitions)
    return Load.of(beat.slots - beat.running, beat.waiting, frozenset(partitions))


def _less_travellers(heard: _Heard, now: float) -> Load:
    if not heard.travelling:
        return heard.load
    for task_id in [task_id for task_id, until in heard.travelling.items() if until <= now]:
        del heard.travelling[task_id]
    return heard.load._replace(idle=max(0, heard.load.idle - len(heard.travelling)))
