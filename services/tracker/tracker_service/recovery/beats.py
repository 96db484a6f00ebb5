"""Writes the tracker's own heartbeats and reads everybody's. What silence means is death_clock.py's."""

from __future__ import annotations

import platform

from muster import __version__
from muster.contracts.errors import UNREADABLE, BrokerError
from muster.contracts.events import Heartbeat, decode_heartbeat, encode_json
from muster.contracts.topics import Topics
from muster.observability.logging import get_logger
from muster.observability.metrics import WORKERS_ALIVE
from muster.ports import Broker, Clock, Producer, Record, TopicPartition
from muster.settings import Settings

from tracker_service.projection.freshness import Freshness
from tracker_service.recovery.death_clock import DeathClock

_log = get_logger(__name__)


class Beats:
    """The pulse of the whole installation as this tracker hears it."""

    def __init__(
        self,
        broker: Broker,
        producer: Producer,
        topics: Topics,
        settings: Settings,
        clock: Clock,
        death: DeathClock,
        freshness: Freshness,
    ) -> None:
        self.id = settings.new_worker_id("tracker")
        self._producer = producer
        self._topic = topics.workers
        self._settings = settings
        self._clock = clock
        self._death = death
        self._freshness = freshness
        # Only what comes from now on: an old beat says nothing about who is alive.
        self._consumer = broker.consumer(client_id="muster-tracker-beats", from_beginning=False)
        self._services: dict[str, str] = {}
        self._started_at = clock.now()
        self._returned = clock.monotonic()

    @property
    def silence(self) -> float:
        """Seconds since the last own beat came back: how long Kafka may have been away."""
        return self._clock.monotonic() - self._returned

    async def send(self, *, leaving: bool = False) -> None:
        """Write one beat and wait for its acknowledgement.

        Raises:
            BrokerError: it was not written.
        """
        await (await self._producer.send(self._topic, self._say(leaving), key=self.id.encode()))

    async def run_sending(self) -> None:
        """Beat until cancelled. While Kafka is away this waits: beats shall not pile up and come back all at once."""
        while True:
            try:
                await self.send()
            except BrokerError as error:
                _log.warning("A heartbeat was not written", action="tracker.beat_failed", error=str(error))
            await self._clock.sleep(self._settings.beat_seconds)

    async def run_watching(self) -> None:
        """Hear every beat until cancelled."""
        self._consumer.assign([TopicPartition(self._topic, 0)])
        await self._consumer.start()
        try:
            while True:
                try:
                    for record in await self._consumer.poll(timeout=1.0):
                        self._hear(record)
                except BrokerError as error:
                    _log.warning("Heartbeats cannot be read", action="tracker.beats_unread", error=str(error))
                    await self._clock.sleep(self._settings.beat_seconds)
        finally:
            await self._consumer.stop()

    def _hear(self, record: Record) -> None:
        try:
            beat = decode_heartbeat(record.value or b"")
        except UNREADABLE:
            return  # the projection counts and logs what cannot be read
        if beat.worker == self.id:
            self._returned = self._clock.monotonic()
            self._death.own_beat_returned(self._returned)
            self._freshness.heard()
            self._count()
        elif beat.service != "tracker":
            self._services[beat.worker] = beat.service[:100]
            self._death.beat(beat.worker, leaving=beat.leaving)

    def _count(self) -> None:
        """Tell the metrics who lives; the dead are counted once more, as none of their service."""
        alive = dict.fromkeys(self._services.values(), 0)
        for worker, service in list(self._services.items()):
            if self._death.is_dead(worker):
                del self._services[worker]
            else:
                alive[service] += 1
        for service, count in alive.items():
            WORKERS_ALIVE.labels(service).set(count)

    def _say(self, leaving: bool) -> bytes:
        return encode_json(
            Heartbeat(
                worker=self.id, service="tracker", at=self._clock.now(), host=platform.node(), version=__version__,
                slots=0, running=0, started_at=self._started_at, leaving=leaving,
            )
        )  # fmt: skip
