"""One tracker in simulated time: it beats, hears beats, projects, and leads when it can. Leading is leader.py.

Two of them run. A tracker that froze, or whose connection to the database was cut, may wake in the middle of a round.
"""

from __future__ import annotations

from muster.contracts.events import decode_heartbeat
from muster.ports import Record
from tracker_service.recovery.death_clock import DeathClock

from .broker import TOPICS, Broker
from .group import Group
from .leader import Leader, Lock
from .mutations import Mutation
from .plan import Notes
from .projection import Projection
from .timeline import Process, Timeline

LEASE, BEAT = 14.0, 2.0


class Tracker(Process):
    """One process; its clock and its open round die with it."""

    def __init__(
        self,
        timeline: Timeline,
        name: str,
        broker: Broker,
        group: Group,
        projection: Projection,
        lock: Lock,
        notes: Notes,
        mutation: Mutation | None,
    ) -> None:
        super().__init__(timeline, name)
        self._broker, self._projection = broker, projection
        self._death = DeathClock(lease=LEASE, longest_step=2 * BEAT)
        self._beat()
        self._project()
        Leader(self, broker, group, projection, lock, self._death, notes, mutation)

    def die(self) -> None:
        super().die()
        self._broker.lose_some(self)

    def hear(self, record: Record) -> None:
        """A heartbeat has landed; it is read a little later."""
        self.later(self.timeline.random.choice((0.01, 0.1, 1.0)), lambda: self._heard(record))

    def _heard(self, record: Record) -> None:
        if record.key == self.name.encode():
            self._death.own_beat_returned(self.timeline.now)
        elif record.value:
            beat = decode_heartbeat(record.value)
            self._death.beat(beat.worker, leaving=beat.leaving)

    def _beat(self) -> None:
        self._broker.send(self, (TOPICS.workers, self.name.encode(), b"", []))
        self.later(BEAT, self._beat)

    def _project(self) -> None:
        """Partitions are folded at their own pace, so events and records meet in any order."""
        dice = self.timeline.random
        for partition in self._projection.offsets:
            if dice.random() < 0.5:
                self._projection.advance(partition, dice.choice((1, 3, 20)))
        self.later(dice.choice((0.1, 0.3, 1.0)), self._project)
