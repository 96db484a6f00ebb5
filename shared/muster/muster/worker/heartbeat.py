"""Tells the tracker that this worker lives, and fences the worker off when that cannot be told.

What runs is not touched here.
"""

from __future__ import annotations

import asyncio
import os
import platform
from datetime import datetime
from pathlib import Path

from muster import __version__
from muster.contracts.errors import BrokerError
from muster.contracts.events import Heartbeat, encode_json
from muster.contracts.topics import Topics
from muster.observability.logging import get_logger
from muster.observability.metrics import BEAT_AGE
from muster.ports import Clock, Consumer, Producer
from muster.settings import Settings
from muster.worker.peers import Peers
from muster.worker.sharing import Load, worth_telling
from muster.worker.slots import Slots

#: How often a worker with peers looks whether its load has changed: what two looks in a row see is told at once.
LOOK_SECONDS = 0.03
#: More running tasks than this are counted, not named.
MAX_NAMED = 100

_log = get_logger(__name__)


class Fenced(BrokerError):
    """The heartbeat was not acknowledged for too long: others may have been told that this worker is dead."""


class Pulse:
    """The heartbeats of one worker."""

    def __init__(
        self,
        producer: Producer,
        topics: Topics,
        settings: Settings,
        service: str,
        worker: str,
        clock: Clock,
        slots: Slots,
        consumer: Consumer,
        peers: Peers,
    ) -> None:
        self._producer = producer
        self._topic = topics.workers
        self._settings = settings
        self._service = service
        self._worker = worker
        self._clock = clock
        self._slots = slots
        self._consumer = consumer
        self._peers = peers
        self._told = Load(0, 0, frozenset())
        self._leaving = False
        self._started_at: datetime = clock.now()
        #: When the last beat that was acknowledged had been sent: the tracker cannot have seen it earlier.
        self._acknowledged = clock.monotonic()

    @property
    def age(self) -> float:
        """Seconds since the last acknowledged beat was sent."""
        return self._clock.monotonic() - self._acknowledged

    async def run(self) -> None:
        """Beat until cancelled.

        Raises:
            Fenced: no beat was acknowledged for `fence_seconds`; stop every task and leave.
        """
        while True:
            # First: a process that was frozen would beat, be heard, and go on with tasks that others have by now.
            self.check()
            await self.beat()
            BEAT_AGE.labels(self._service).set(self.age)
            self.check()
            await self._until_next()

    def check(self) -> None:
        """Raises Fenced when this worker may have been declared dead: it must write no outcome any more."""
        if self.age > self._settings.fence_seconds:
            raise Fenced(f"no heartbeat of {self._worker} was acknowledged for {self.age:.0f} s; it stops itself")

    async def _until_next(self) -> None:
        """Sleep until the next beat is due, or until the others should hear at once what has become of this worker.

        A change must have lasted: slots that are full and free again within milliseconds are nobody's business.
        """
        due = self._clock.monotonic() + self._settings.beat_seconds
        changed = False
        while (left := due - self._clock.monotonic()) > 0:
            peers = self._peers.present()
            # Who is alone has nobody to tell.
            await self._clock.sleep(min(left, LOOK_SECONDS) if peers else left)
            before, changed = changed, worth_telling(self._told, self._load(), peers)
            if before and changed and peers:
                # The intake may be waiting for the same news: that a record waits behind full slots.
                self._slots.wake()
                return

    def _load(self) -> Load:
        return Load.of(self._slots.free, self._consumer.backlog(), self._consumer.assignment())

    async def leave(self) -> None:
        """Say good-bye: every beat from now on says that this worker leaves."""
        self._leaving = True
        await self.beat()

    async def beat(self) -> None:
        """Send one beat and wait for its acknowledgement, at most as long as the fence allows."""
        sent = self._clock.monotonic()
        try:
            async with asyncio.timeout(max(0.1, self._settings.fence_seconds - self.age)):
                await (await self._producer.send(self._topic, self._say(), key=self._worker.encode()))
            self._acknowledged = sent
        except (BrokerError, TimeoutError) as error:
            _log.warning(
                "A heartbeat was not acknowledged", action="worker.beat_failed", error=str(error), age=self.age
            )

    def _say(self) -> bytes:
        tasks = [delivery.task.task_id for delivery in self._slots]
        self._told = self._load()
        return encode_json(
            Heartbeat(
                worker=self._worker,
                service=self._service,
                at=self._clock.now(),
                host=platform.node(),
                version=__version__,
                slots=self._slots.capacity,
                running=self._slots.running,
                waiting=self._consumer.backlog(),
                tasks=tuple(tasks[:MAX_NAMED]),
                partitions=tuple(sorted(self._told.partitions)),
                started_at=self._started_at,
                rss_bytes=_rss_bytes(),
                leaving=self._leaving,
            )
        )


def _rss_bytes() -> int:
    """Resident memory of this process; 0 where the system has no /proc."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") if statm.exists() else 0
